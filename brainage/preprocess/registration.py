"""Linear registration of the extracted brain to the MNI152 template, judged and tried again."""

from dataclasses import replace
from itertools import islice

import numpy as np
from scipy import ndimage

from brainage.errors import ScanError
from brainage.preprocess.ants_linear import register_linear
from brainage.preprocess.config import RegistrationConfig
from brainage.preprocess.resample import resample_brain
from brainage.preprocess.starts import Start, first_start, other_starts
from brainage.preprocess.state import Image, Mask, Matrix, ScanState
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template

# A brain's size along any direction lies within this factor of the template's.
MAX_STRETCH = 2.0

# The second round looks at the template this far around the scan's brain, and no further: what of
# the template a scan does not show would pull the search, from each start to another place.
NEAR_VOXELS = 4


class RegisterToTemplate:
    """Find the matrix from scan to template space and judge what it does.

    Mattes mutual information between brain-only images, starting from aligned centres of mass: a
    first round to 8 mm, a second from its result, on voxels along the template's axes, to 4 mm.
    Where that ends badly, other starts are tried and the best result is kept. A scan whose brain
    does not come to lie on the template's is refused: such a matrix is a failed registration, and
    an age predicted through it would be a number without meaning.
    """

    name = "registration"

    def __init__(self, config: RegistrationConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``scan_to_template``, `judge_registration`'s figures and ``registration_starts``."""
        result, reason = self._from(state, first_start(state))
        num_starts = 1
        if result is None or not self._is_good(result):
            for start in islice(other_starts(state), self.config.max_starts - 1):
                other, other_reason = self._from(state, start)
                num_starts += 1
                if other is not None and (result is None or _fit(other) > _fit(result)):
                    result = other
                reason = reason or other_reason
                if result is not None and self._is_good(result):
                    break
        if result is None:
            raise ScanError(state.scan.source, self.name, f"{reason} ({num_starts} starts)")
        self._refuse_misfit(result, num_starts)
        quality = {**result.quality, "registration_starts": float(num_starts)}
        return replace(result, quality=quality)

    def _from(self, state: ScanState, start: Start) -> tuple[ScanState | None, str]:
        """Register from one start; None and the reason when nothing plausible comes of it."""
        try:
            rough = self._round(state, start, levels_mm=(12, 8))
            reason = _implausible(rough)
            if reason:
                return None, reason
            closer = Start(np.asarray(np.linalg.inv(rough), dtype=np.float64), align="nothing")
            near_XYZ = _near(state, closer.turn)
            if not near_XYZ.any():
                return None, "the brain came to lie beside the template"
            template_to_scan = self._round(state, closer, levels_mm=(8, 4), within_XYZ=near_XYZ)
        except (RuntimeError, ValueError, OSError) as error:
            return None, f"ANTs failed: {error}"
        reason = _implausible(template_to_scan)
        if reason:
            return None, reason
        matrix = np.asarray(np.linalg.inv(template_to_scan), dtype=np.float64)
        moved = replace(state, scan_to_template=matrix)
        return replace(moved, quality={**state.quality, **judge_registration(moved)}), ""

    def _round(
        self,
        state: ScanState,
        start: Start,
        *,
        levels_mm: tuple[int, ...],
        within_XYZ: Mask | None = None,
    ) -> Matrix:
        """The matrix from template to scan space that one search ends with."""
        moving_XYZ, affine = _moving_image(state, start.turn)
        found = register_linear(
            moving_XYZ,
            affine,
            transform=self.config.transform,
            align=start.align,
            within_XYZ=within_XYZ,
            levels_mm=levels_mm,
        )
        return np.asarray(np.linalg.inv(start.turn) @ found, dtype=np.float64)

    def _is_good(self, state: ScanState) -> bool:
        """Whether no other start needs to be tried."""
        return (
            state.quality["template_dice"] >= self.config.retry_dice
            and state.quality["template_correlation"] >= self.config.retry_correlation
        )

    def _refuse_misfit(self, state: ScanState, num_starts: int) -> None:
        for figure, least in (
            ("template_dice", self.config.min_dice),
            ("template_correlation", self.config.min_correlation),
        ):
            if not state.quality[figure] >= least:
                raise ScanError(
                    state.scan.source,
                    self.name,
                    f"the brain does not fit the template: expected {figure} of at least "
                    f"{least:g}, got {state.quality[figure]:.3f} (best of {num_starts} starts)",
                )


def rough_pose(state: ScanState) -> Matrix | None:
    """A rough ``scan_to_template`` (4, 4) of a scan whose brain is found; None when ANTs fails."""
    moving_XYZ, affine = _moving_image(state, np.eye(4))
    try:
        found = register_linear(moving_XYZ, affine, transform="rigid", levels_mm=(12, 8))
    except (RuntimeError, ValueError, OSError):
        return None  # The registration proper says what is wrong.
    return np.asarray(np.linalg.inv(found), dtype=np.float64)


def _implausible(template_to_scan: Matrix) -> str:
    """What is wrong with a matrix as a way from the template to a head; empty when nothing is."""
    linear = template_to_scan[:3, :3]
    if not np.isfinite(template_to_scan).all():
        return "expected finite numbers in the matrix"
    stretches = np.linalg.svd(linear, compute_uv=False)
    within = stretches.min() > 1 / MAX_STRETCH and stretches.max() < MAX_STRETCH
    if within and np.linalg.det(linear) > 0:
        return ""
    got = ", ".join(f"{value:.2f}" for value in stretches)
    return f"expected stretches within a factor of {MAX_STRETCH:g}, got {got}"


def _near(state: ScanState, scan_to_template: Matrix) -> Mask:
    """The template's voxels that lie in the moved brain or near it."""
    template = load_template()
    grid_to_scan = np.linalg.inv(scan_to_template) @ template.affine
    shape = template.mask_XYZ.shape
    _, mask_XYZ = resample_brain(state, grid_to_scan, shape, TEMPLATE_SPACING_MM)
    return np.asarray(ndimage.binary_dilation(mask_XYZ, iterations=NEAR_VOXELS))


def _fit(state: ScanState) -> float:
    """What the best of several results is chosen by."""
    return state.quality["template_dice"] + state.quality["template_correlation"]


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


def _moving_image(state: ScanState, turn: Matrix) -> tuple[Image, Matrix]:
    """The brain on a grid along the axes of turned scan space, at the template's spacing.

    Takes oblique and sheared voxel axes out of ANTs' hands and makes its time independent of the
    scan's resolution. The result's intensities lie in 0 to 1.

    Args:
        state: with the brain found.
        turn: matrix (4, 4) from scan space to where the search starts.
    """
    assert state.brain is not None
    to_mm = turn @ state.brain.affine(state.scan.affine)
    shape = np.array(state.brain.mask_XYZ.shape)
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    corners_mm = to_mm[:3, :3] @ corners + to_mm[:3, 3:]
    low_mm, high_mm = corners_mm.min(axis=1), corners_mm.max(axis=1)
    sizes = np.ceil((high_mm - low_mm) / TEMPLATE_SPACING_MM).astype(int) + 3
    affine = np.diag([TEMPLATE_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low_mm - TEMPLATE_SPACING_MM
    new_shape = (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    grid_to_scan = np.linalg.inv(turn) @ affine
    image_XYZ, mask_XYZ = resample_brain(state, grid_to_scan, new_shape, TEMPLATE_SPACING_MM)
    low, high = np.quantile(image_XYZ[mask_XYZ], [0.001, 0.999])
    scaled = np.clip((image_XYZ - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(np.where(mask_XYZ, scaled, 0), dtype=np.float32), affine
