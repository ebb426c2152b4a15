"""Brain extraction: which voxels of the scan are brain, and whether somebody did it before."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.errors import ScanError
from brainage.preprocess.config import BrainExtractionConfig
from brainage.preprocess.state import Brain, Mask, ScanState
from brainage.scans.nifti import Scan

BOX_MARGIN_VOXELS = 2

# A stripped scan is one compact object that the volume's faces do not touch, of a brain's size,
# with little dark matter inside. Of the open cohort, the 59 stripped scans have at most 0 % of
# the faces, 1.17 to 1.67 l and 6 to 14 % dark; the 140 whole heads at least 9 %, 3.7 l and 27 %.
MAX_FACE_FRACTION = 0.05
MIN_LARGEST_FRACTION = 0.97
MAX_DARK_FRACTION = 0.20
DARK_LEVEL = 0.25


@dataclass(frozen=True)
class Foreground:
    """What is not background in a scan, and the figures that tell a brain from a head."""

    mask_XYZ: Mask
    volume_ml: float
    face_fraction: float
    largest_fraction: float
    dark_fraction: float

    def is_stripped(self, max_brain_ml: float) -> bool:
        """Whether this is a brain without skull and skin around it."""
        return (
            self.face_fraction <= MAX_FACE_FRACTION
            and self.largest_fraction >= MIN_LARGEST_FRACTION
            and self.volume_ml <= max_brain_ml
            and self.dark_fraction <= MAX_DARK_FRACTION
        )


class ExtractBrain:
    """Find the brain's voxels by the configured method and crop to them."""

    name = "brain_extraction"

    def __init__(self, config: BrainExtractionConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``brain`` and the quality numbers ``brain_volume_ml`` and ``foreground_fraction``."""
        scan = state.scan
        foreground = find_foreground(scan)
        mask_XYZ, source = self._brain_mask(scan, foreground)
        volume_ml = float(np.count_nonzero(mask_XYZ)) * voxel_volume_ml(scan)
        low, high = self.config.min_brain_ml, self.config.max_brain_ml
        if not low <= volume_ml <= high:
            raise ScanError(
                scan.source,
                self.name,
                f"expected a brain of {low:g} to {high:g} ml, found {volume_ml:.0f} ml ({source})",
            )
        quality = {
            **state.quality,
            "brain_volume_ml": volume_ml,
            "foreground_fraction": float(foreground.mask_XYZ.mean(dtype=np.float64)),
        }
        return replace(state, brain=_cropped(mask_XYZ, source), quality=quality)

    def _brain_mask(self, scan: Scan, foreground: Foreground) -> tuple[Mask, str]:
        if self.config.method == "none":
            return foreground.mask_XYZ, "none"
        if self.config.recognise_stripped and foreground.is_stripped(self.config.max_brain_ml):
            return foreground.mask_XYZ, "already stripped"
        # Deferred: torch takes seconds to load and a stripped cohort does not need it.
        from brainage.preprocess.deepbet import deepbet_mask  # noqa: PLC0415

        mask_XYZ = deepbet_mask(scan.data_XYZ)
        if mask_XYZ is None:
            raise ScanError(scan.source, self.name, "expected a brain, deepbet found none")
        return mask_XYZ, "deepbet"


def voxel_volume_ml(scan: Scan) -> float:
    """Volume of one voxel in millilitres."""
    return abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000.0


def find_foreground(scan: Scan) -> Foreground:
    """Separate the head or brain from an exactly constant background.

    The background is the commonest value on the six faces of the volume (zero in most files, but
    not in all). The foreground's figures are taken from its largest connected part after an
    opening, with holes filled.
    """
    data_XYZ = scan.data_XYZ
    faces = np.concatenate(
        [data_XYZ.take(index, axis).ravel() for axis in range(3) for index in (0, -1)]
    )
    values, counts = np.unique(faces, return_counts=True)
    background = values[counts.argmax()]
    not_background = data_XYZ != background
    face_fraction = float(np.mean(faces != background))
    labels, num_parts = ndimage.label(ndimage.binary_opening(not_background))
    if num_parts == 0:
        return Foreground(not_background, 0.0, face_fraction, 0.0, 0.0)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest_XYZ = labels == sizes.argmax()
    filled_XYZ = ndimage.binary_fill_holes(largest_XYZ)
    inside = data_XYZ[filled_XYZ] - background
    dark = inside < DARK_LEVEL * np.percentile(inside, 90)
    return Foreground(
        mask_XYZ=filled_XYZ,
        volume_ml=float(np.count_nonzero(filled_XYZ)) * voxel_volume_ml(scan),
        face_fraction=face_fraction,
        largest_fraction=float(sizes.max() / sizes.sum()),
        dark_fraction=float(dark.mean()),
    )


def _cropped(mask_XYZ: Mask, source: str) -> Brain:
    """The smallest box around the mask, with a margin where the volume has room."""
    start_XYZ, stop_XYZ = bounding_box(mask_XYZ)
    start_XYZ = np.maximum(start_XYZ - BOX_MARGIN_VOXELS, 0)
    stop_XYZ = np.minimum(stop_XYZ + BOX_MARGIN_VOXELS, mask_XYZ.shape)
    box = tuple(slice(a, b) for a, b in zip(start_XYZ, stop_XYZ, strict=True))
    return Brain(np.ascontiguousarray(mask_XYZ[box]), start_XYZ, source)


def bounding_box(mask_XYZ: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First voxel and one past the last voxel that is True, along each axis."""
    starts, stops = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero(mask_XYZ.any(axis=others))
        starts.append(hits[0])
        stops.append(hits[-1] + 1)
    return np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64)
