"""Whether a preprocessed scan has the contrast of a T1-weighted one.

In T1w, white matter is brighter than grey matter and grey matter brighter than fluid. Where the
template has its tissues, the preprocessed volume, which lies on it, must show that order; inverted
intensities, T2w and FLAIR do not.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels

LEAST_VOXELS = 20
"""A tissue with fewer voxels in the brain mask, such as fluid that was cut off, is not judged."""

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Contrast:
    """Distances between the medians of tissues, in units of the volume.

    None where one of the two tissues has too few voxels.
    """

    white_above_grey: float | None
    grey_above_csf: float | None

    @property
    def is_t1w(self) -> bool:
        """Whether the tissues that can be judged are in the order of T1w."""
        known = [each for each in (self.white_above_grey, self.grey_above_csf) if each is not None]
        return all(each > 0 for each in known)


def measure_contrast(scan: PreprocessedScan) -> Contrast:
    """The tissues' order in a preprocessed scan."""
    affine = tuple(scan.affine.ravel().tolist())
    labels_XYZ = np.where(scan.mask_XYZ, _labels_on(scan.volume_XYZ.shape, affine), 0)
    median: dict[str, float] = {}
    for name, label in TISSUES.items():
        values = scan.volume_XYZ[labels_XYZ == label]
        if values.size >= LEAST_VOXELS:
            median[name] = float(np.median(values))
    return Contrast(_above(median, "white", "grey"), _above(median, "grey", "csf"))


def _above(median: dict[str, float], bright: str, dark: str) -> float | None:
    if bright not in median or dark not in median:
        return None
    return median[bright] - median[dark]


@lru_cache(maxsize=4)
def _labels_on(shape_XYZ: tuple[int, int, int], affine: tuple[float, ...]) -> Labels:
    """The template's tissue labels at the voxel centres of a grid, row by row its affine."""
    to_template = np.linalg.inv(load_template().affine) @ np.reshape(affine, (4, 4))
    labels_XYZ: Labels = ndimage.affine_transform(
        load_tissue_labels(),
        to_template[:3, :3],
        to_template[:3, 3],
        output_shape=shape_XYZ,
        order=0,
    )
    return labels_XYZ
