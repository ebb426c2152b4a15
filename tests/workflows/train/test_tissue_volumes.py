from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from brainage.errors import CohortError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import GridConfig, PreprocessConfig
from brainage.preprocess.grid import grid_affine
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.template import load_template
from brainage.workflows.train.tissue_volumes import FEATURES, cohort_tissue_volumes, tissue_volumes


def template_scan(spacing_mm: float = 4.0, shape=(40, 48, 40)) -> PreprocessedScan:
    """The template itself as a preprocessed scan."""
    template = load_template()
    affine = grid_affine(GridConfig(spacing_mm=spacing_mm, shape_XYZ=shape))
    to_voxels = np.linalg.inv(template.affine) @ affine
    volume, weight = (
        ndimage.affine_transform(
            part.astype(np.float64),
            to_voxels[:3, :3],
            to_voxels[:3, 3],
            output_shape=shape,
            order=1,
        )
        for part in (template.brain_XYZ, template.mask_XYZ)
    )
    mask = weight > 0.5
    inside = volume[mask]
    volume = np.where(mask, (volume - inside.mean()) / inside.std(), 0).astype(np.float32)
    return PreprocessedScan(volume, mask, affine, np.eye(4), {}, {}, "template")


@pytest.fixture(scope="module")
def scan():
    return template_scan()


def named(scan):
    return dict(zip(FEATURES, tissue_volumes(scan), strict=True))


def test_the_template_has_the_volumes_of_a_brain(scan):
    found = named(scan)
    assert 1700 < found["brain_ml"] < 2100  # the template's brain is large, by its making
    assert 0.35 < found["grey_share"] < 0.65
    assert 0.2 < found["white_share"] < 0.45
    assert 0.02 < found["fluid_share"] < 0.3
    assert 5 < found["central_fluid_ml"] < 80
    parts = found["grey_ml"] + found["white_ml"] + found["fluid_ml"]
    assert parts == pytest.approx(found["brain_ml"])


def test_a_finer_grid_gives_much_the_same(scan):
    fine, coarse = named(template_scan(2.0, (80, 96, 80))), named(scan)
    for name in ("brain_ml", "grey_ml", "white_ml"):
        assert fine[name] == pytest.approx(coarse[name], rel=0.12), name


def test_volumes_are_those_of_the_scan_s_own_space(scan):
    """A head that was enlarged by a tenth along each axis to fit has so much smaller volumes."""
    enlarged = replace(scan, scan_to_template=np.diag([1.1, 1.1, 1.1, 1.0]))
    own, found = named(scan), named(enlarged)
    for name in FEATURES:
        factor = 1.1**-3 if name.endswith("_ml") else 1.0
        assert found[name] == pytest.approx(own[name] * factor), name


def test_a_darker_middle_is_more_central_fluid(scan):
    """Ventricles that grow into white matter, as they do with age."""
    volume = scan.volume_XYZ.copy()
    # a box of 24 x 40 x 16 mm about the middle of the brain
    centre = np.linalg.solve(scan.affine, [0, -10, 15, 1])[:3].astype(int)
    box = tuple(slice(c - h, c + h) for c, h in zip(centre, (3, 5, 2), strict=True))
    volume[box] = np.where(scan.mask_XYZ[box], volume[scan.mask_XYZ].min(), 0)
    before, after = named(scan), named(replace(scan, volume_XYZ=volume))
    assert after["central_fluid_ml"] > before["central_fluid_ml"] + 5
    assert after["white_ml"] < before["white_ml"]
    assert after["brain_ml"] == before["brain_ml"]


def test_a_volume_that_has_gone_is_told(scan, tmp_path):
    cache = PreprocessCache(tmp_path, PreprocessConfig())
    cache.store("here", scan)
    found = cohort_tissue_volumes(["here"], PreprocessConfig(), tmp_path)
    np.testing.assert_allclose(found, [tissue_volumes(scan)])
    with pytest.raises(CohortError, match="has gone; run again"):
        cohort_tissue_volumes(["here", "gone"], PreprocessConfig(), tmp_path)
