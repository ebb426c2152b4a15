"""Linear registration of the extracted brain to the MNI152 template with ANTs."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from brainage.errors import ScanError
from brainage.preprocess.config import RegistrationConfig
from brainage.preprocess.resample import resample_brain
from brainage.preprocess.state import Image, Matrix, ScanState
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.preprocess.threads import fix_itk

# Three levels of resolution: 12, 8 and 4 mm. Against ANTs' own "AffineFast", which stops at 8 mm,
# the overlap of the brains rises by 0.005 to 0.03 and a scan takes half a second more.
SHRINK_FACTORS = (6, 4, 2)
SMOOTHING_SIGMAS = (3, 2, 1)
ITERATIONS = (500, 300, 100)

# A brain's size along any direction lies within this factor of the template's.
MAX_STRETCH = 2.0

# ANTs and ITK count x to the left and y to the back, NIfTI to the right and to the front.
_FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])


class RegisterToTemplate:
    """Find the matrix from scan to template space and judge what it does.

    Mattes mutual information between brain-only images, starting from aligned centres of mass. A
    scan whose brain does not come to lie on the template's is refused: such a matrix is a failed
    registration, and an age predicted through it would be a number without meaning.
    """

    name = "registration"

    def __init__(self, config: RegistrationConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``scan_to_template`` and what `judge_registration` measures."""
        source = state.scan.source
        moving, moving_affine = _moving_image(state)
        try:
            template_to_scan = self._ants(moving, moving_affine)
        except (RuntimeError, ValueError, OSError) as error:
            raise ScanError(source, self.name, f"ANTs failed: {error}") from error
        stretches = np.linalg.svd(template_to_scan[:3, :3], compute_uv=False)
        plausible = (
            np.isfinite(template_to_scan).all()
            and np.linalg.det(template_to_scan[:3, :3]) > 0
            and stretches.min() > 1 / MAX_STRETCH
            and stretches.max() < MAX_STRETCH
        )
        if not plausible:
            got = ", ".join(f"{value:.2f}" for value in stretches)
            raise ScanError(
                source,
                self.name,
                f"expected stretches within a factor of {MAX_STRETCH:g}, got {got}",
            )
        scan_to_template = np.asarray(np.linalg.inv(template_to_scan), dtype=np.float64)
        state = replace(state, scan_to_template=scan_to_template)
        quality = judge_registration(state)
        for figure, least in (
            ("template_dice", self.config.min_dice),
            ("template_correlation", self.config.min_correlation),
        ):
            if not quality[figure] >= least:
                raise ScanError(
                    source,
                    self.name,
                    f"the brain does not fit the template: expected {figure} of at least "
                    f"{least:g}, got {quality[figure]:.3f}",
                )
        return replace(state, quality={**state.quality, **quality})

    def _ants(self, moving: Image, moving_affine: Matrix) -> Matrix:
        """The matrix (4, 4) from template to scan space, both in RAS+ millimetres."""
        fix_itk()
        import ants  # noqa: PLC0415 - deferred: takes seconds to load

        # ANTs returns its result as a file; a folder of its own per call means that a failed
        # run can never find the result of another scan.
        with TemporaryDirectory(prefix="brainage-") as folder:
            result = ants.registration(
                fixed=_fixed_image(),
                moving=_to_ants(moving, moving_affine),
                type_of_transform="Affine" if self.config.transform == "affine" else "Rigid",
                outprefix=str(Path(folder) / "scan_"),
                aff_metric="mattes",
                aff_iterations=ITERATIONS,
                aff_shrink_factors=SHRINK_FACTORS,
                aff_smoothing_sigmas=SMOOTHING_SIGMAS,
            )
            transform = ants.read_transform(result["fwdtransforms"][0])
        linear = np.asarray(transform.parameters[:9], dtype=np.float64).reshape(3, 3)
        shift = np.asarray(transform.parameters[9:], dtype=np.float64)
        centre = np.asarray(transform.fixed_parameters, dtype=np.float64)
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        matrix[:3, 3] = shift + centre - linear @ centre
        return np.asarray(_FLIP_XY @ matrix @ _FLIP_XY, dtype=np.float64)


def judge_registration(state: ScanState) -> dict[str, float]:
    """Compare the moved brain with the template.

    Returns:
        ``template_dice`` of the brain masks, ``template_correlation`` of the intensities where
        both have brain (elsewhere the outline alone would correlate), ``rotation_degrees`` of the
        head and ``scale``, the mean linear factor from scan to template.
    """
    assert state.scan_to_template is not None
    template = load_template()
    grid_to_scan = np.linalg.inv(state.scan_to_template) @ template.affine
    shape = template.mask_XYZ.shape
    image_XYZ, mask_XYZ = resample_brain(state, grid_to_scan, shape, TEMPLATE_SPACING_MM)
    both_XYZ = mask_XYZ & template.mask_XYZ
    total = np.count_nonzero(mask_XYZ) + np.count_nonzero(template.mask_XYZ)
    left, singular_values, right = np.linalg.svd(state.scan_to_template[:3, :3])
    cosine = (np.trace(left @ right) - 1) / 2
    return {
        "template_dice": 2.0 * int(np.count_nonzero(both_XYZ)) / int(total),
        "template_correlation": _correlation(image_XYZ[both_XYZ], template.brain_XYZ[both_XYZ]),
        "rotation_degrees": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "scale": float(np.prod(singular_values) ** (1 / 3)),
    }


def _correlation(first: Image, second: Image) -> float:
    """Pearson's r; 0 when one of them is constant or empty."""
    if first.size == 0:
        return 0.0
    a = first.astype(np.float64) - first.mean(dtype=np.float64)
    b = second.astype(np.float64) - second.mean(dtype=np.float64)
    # np.sum, not a dot product, whose last bits depend on the number of threads.
    norm = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def _moving_image(state: ScanState) -> tuple[Image, Matrix]:
    """The brain on a grid along the axes of scan space, at the template's spacing.

    Takes oblique and sheared voxel axes out of ANTs' hands and makes its time independent of the
    scan's resolution. The result's intensities lie in 0 to 1.
    """
    assert state.brain is not None
    to_mm = state.brain.affine(state.scan.affine)
    shape = np.array(state.brain.mask_XYZ.shape)
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    corners_mm = to_mm[:3, :3] @ corners + to_mm[:3, 3:]
    low_mm, high_mm = corners_mm.min(axis=1), corners_mm.max(axis=1)
    sizes = np.ceil((high_mm - low_mm) / TEMPLATE_SPACING_MM).astype(int) + 3
    affine = np.diag([TEMPLATE_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low_mm - TEMPLATE_SPACING_MM
    new_shape = (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    image_XYZ, mask_XYZ = resample_brain(state, affine, new_shape, TEMPLATE_SPACING_MM)
    low, high = np.quantile(image_XYZ[mask_XYZ], [0.001, 0.999])
    scaled = np.clip((image_XYZ - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(np.where(mask_XYZ, scaled, 0), dtype=np.float32), affine


@cache
def _fixed_image() -> Any:
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
