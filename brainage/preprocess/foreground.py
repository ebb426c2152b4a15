"""Foreground: what is not an exactly constant background, and whether it is a brain or a head."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.state import Image, Mask
from brainage.scans.nifti import Scan

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
    faces = _faces(data_XYZ)
    background = background_value(data_XYZ)
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


def background_value(data_XYZ: Image) -> float:
    """The commonest value on the six faces of the volume."""
    values, counts = np.unique(_faces(data_XYZ), return_counts=True)
    return float(values[counts.argmax()])


def _faces(data_XYZ: Image) -> npt.NDArray[np.float32]:
    return np.concatenate(
        [data_XYZ.take(index, axis).ravel() for axis in range(3) for index in (0, -1)]
    )


def bounding_box(mask_XYZ: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First voxel and one past the last voxel that is True, along each axis."""
    starts, stops = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero(mask_XYZ.any(axis=others))
        starts.append(hits[0])
        stops.append(hits[-1] + 1)
    return np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64)
