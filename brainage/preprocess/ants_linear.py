"""ANTs' linear registration of a volume with the template, as a matrix in RAS+ millimetres."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from brainage.preprocess.state import Image, Mask, Matrix
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.preprocess.threads import fix_itk

# Levels of resolution in mm, each with its smoothing in voxels of the template and the most steps
# of its search. Against ANTs' own "AffineFast", which stops at 8 mm, 4 mm raises the overlap of the
# brains by 0.005 to 0.03 for half a second more.
LEVELS = {12: (3, 500), 8: (2, 300), 4: (1, 100)}

# Share of the template's voxels that the metric is taken over. With 0.2, turning a head moved the
# result by 0.9 mm (median of five scans, largest of the brain's corners); with 0.5 by 0.6 mm for
# half a second more; with all of them by 0.6 mm for two seconds more.
SAMPLED_FRACTION = 0.5

# ANTs and ITK count x to the left and y to the back, NIfTI to the right and to the front.
_FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])


def register_linear(
    moving_XYZ: Image,
    moving_affine: Matrix,
    *,
    transform: str,
    align: str = "masses",
    within_XYZ: Mask | None = None,
    levels_mm: Sequence[int] = tuple(LEVELS),
) -> Matrix:
    """The matrix (4, 4) that takes template space to the moving volume's space.

    Mattes mutual information with 32 bins.

    Args:
        moving_XYZ: intensities.
        moving_affine: (4, 4), a diagonal and a shift.
        transform: ``affine`` or ``rigid``.
        align: where the search starts: ``masses`` puts the centres of mass on one another,
            ``nothing`` takes the volumes as they lie.
        within_XYZ: the template's voxels that count; none: all.
        levels_mm: of `LEVELS`, from the coarsest; without 4 mm it takes a fifth of the time and
            ends within a few degrees.
    Raises:
        RuntimeError, ValueError, OSError: ANTs failed.
    """
    fix_itk()
    import ants  # noqa: PLC0415 - deferred: takes seconds to load

    options: dict[str, object] = {}
    if within_XYZ is not None:
        affine = load_template().affine
        options["mask"] = _to_ants(within_XYZ.astype(np.float32), affine)
    # ANTs returns its result as a file; a folder of its own per call means that a failed run can
    # never find the result of another scan.
    with TemporaryDirectory(prefix="brainage-") as folder:
        if align == "nothing":
            options["initial_transform"] = _write_identity(Path(folder) / "start.mat")
        result = ants.registration(
            fixed=_template_image(),
            moving=_to_ants(moving_XYZ, moving_affine),
            type_of_transform="Affine" if transform == "affine" else "Rigid",
            outprefix=str(Path(folder) / "scan_"),
            aff_metric="mattes",
            aff_random_sampling_rate=SAMPLED_FRACTION,
            aff_iterations=tuple(LEVELS[level][1] for level in levels_mm),
            aff_shrink_factors=tuple(level // TEMPLATE_SPACING_MM for level in levels_mm),
            aff_smoothing_sigmas=tuple(LEVELS[level][0] for level in levels_mm),
            **options,
        )
        found = ants.read_transform(result["fwdtransforms"][0])
    return _matrix_of(found)


def _write_identity(path: Path) -> str:
    """A file that starts ANTs from the volumes as they lie; its name."""
    import ants  # noqa: PLC0415

    parameters = np.eye(3).ravel().tolist() + [0.0] * 3
    identity = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, parameters=parameters
    )
    ants.write_transform(identity, str(path))
    return str(path)


def _matrix_of(found: Any) -> Matrix:
    """The matrix (4, 4) of an ANTs transform, in RAS+ millimetres."""
    linear = np.asarray(found.parameters[:9], dtype=np.float64).reshape(3, 3)
    shift = np.asarray(found.parameters[9:], dtype=np.float64)
    centre = np.asarray(found.fixed_parameters, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = shift + centre - linear @ centre
    return np.asarray(_FLIP_XY @ matrix @ _FLIP_XY, dtype=np.float64)


@cache
def _template_image() -> Any:
    """The template as an ANTs image, once per process."""
    template = load_template()
    return _to_ants(template.brain_XYZ, template.affine)


def _to_ants(image_XYZ: Image, affine: Matrix) -> Any:
    """An ANTs image of a volume whose axes are those of space."""
    import ants  # noqa: PLC0415

    in_lps = _FLIP_XY @ affine
    spacing_mm = np.linalg.norm(in_lps[:3, :3], axis=0)
    return ants.from_numpy(
        image_XYZ,
        origin=in_lps[:3, 3].tolist(),
        spacing=spacing_mm.tolist(),
        direction=in_lps[:3, :3] / spacing_mm,
    )
