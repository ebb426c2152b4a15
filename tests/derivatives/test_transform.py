"""The transform file does in ANTs and in SimpleITK what the matrix does here."""

from pathlib import Path

import numpy as np

from brainage.derivatives.transform import itk_transform_text
from brainage.preprocess.template import load_template
from brainage.preprocess.threads import fix_itk
from tests.preprocess.conftest import moved_brain

FLIP_XY = np.diag([-1.0, -1.0, 1.0])


def written(folder: Path, matrix: np.ndarray) -> str:
    path = folder / "xfm.txt"
    path.write_text(itk_transform_text(matrix))
    return str(path)


def to_ants(data_XYZ, affine):
    import ants

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return ants.from_numpy(
        data_XYZ.astype(np.float32),
        origin=(FLIP_XY @ affine[:3, 3]).tolist(),
        spacing=spacing.tolist(),
        direction=FLIP_XY @ affine[:3, :3] / spacing,
    )


def test_ants_brings_the_scan_onto_the_template_with_it(tmp_path):
    fix_itk()
    import ants

    made = moved_brain(degrees=14, scale=0.88, shift_mm=15, spacing_mm=3)
    template = load_template()
    fixed = to_ants(template.brain_XYZ, template.affine)
    moving = to_ants(made.data_XYZ, made.affine)

    def correlation(matrix):
        moved = ants.apply_transforms(fixed, moving, [written(tmp_path, matrix)]).numpy()
        return np.corrcoef(moved[template.mask_XYZ], template.brain_XYZ[template.mask_XYZ])[0, 1]

    assert correlation(made.scan_to_template) > 0.9
    assert correlation(np.linalg.inv(made.scan_to_template)) < 0.6


def test_simpleitk_maps_template_points_to_the_scan_with_it(tmp_path):
    fix_itk()
    import SimpleITK as sitk

    matrix = moved_brain(degrees=14, scale=0.88, shift_mm=15).scan_to_template
    transform = sitk.ReadTransform(written(tmp_path, matrix))
    point_mm = np.array([31.0, -42.0, 17.0])
    expected = np.linalg.inv(matrix) @ [*point_mm, 1]
    found = FLIP_XY @ transform.TransformPoint((FLIP_XY @ point_mm).tolist())
    np.testing.assert_allclose(found, expected[:3], atol=1e-9)
