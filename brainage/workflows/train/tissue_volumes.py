"""A few tissue volumes of each scan, from its preprocessed volume.

Voxels are shared out between fluid, grey and white matter by their intensity and by how likely each
tissue is at their place in the template: a mixture of three normal distributions, fitted to every
scan by itself, so nothing is learned from other scans. Volumes are those of the scan's own space:
the template's divided by how much the alignment enlarged the head.

Source: the mixture with a template's priors is that of Ashburner and Friston 1997, NeuroImage
6:209, without their field; priors are the tissue maps of the MNI152 template inside nilearn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.errors import CohortError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.grid import template_mask
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.state import Image
from brainage.preprocess.template import TEMPLATE_SPACING_MM

Floats = npt.NDArray[np.float64]

FEATURES = (
    "brain_ml",
    "grey_ml",
    "white_ml",
    "fluid_ml",
    "central_fluid_ml",
    "grey_share",
    "white_share",
    "fluid_share",
    "central_fluid_share",
)
"""Volumes, and the same as shares of the brain's."""

VOXELS_ALONG_AXIS = 64
"""Of finer volumes every second, third, ... voxel is looked at."""
ITERATIONS = 15
# The mixture is fitted to every third voxel and asked about all: a third of the time.
FITTED_EVERY = 3
# An affine alignment leaves tissue borders some millimetres off, and atrophy moves them.
PRIOR_BLUR_MM = 4.0
LEAST_PRIOR = 0.02
LEAST_SD = 0.05
# Fluid this deep inside the template's brain and this near to its middle is the ventricles'.
CENTRAL_DEPTH_MM = 20.0
CENTRAL_HALF_WIDTH_MM = 30.0


@dataclass(frozen=True)
class _Places:
    """What the template says of a grid: priors (3, X, Y, Z) of fluid, grey and white matter."""

    priors_TXYZ: Image
    central_XYZ: npt.NDArray[np.bool_]


def cohort_tissue_volumes(
    keys: Sequence[str], config: PreprocessConfig, cache_folder: Path
) -> Floats:
    """``FEATURES`` of finished scans, shape (N, F).

    Raises:
        CohortError: if one is no longer in the cache.
    """
    stored = PreprocessCache(cache_folder, config)
    rows = []
    for key in keys:
        scan = stored.load(key)
        if scan is None:
            raise CohortError(f"{cache_folder}: a finished volume has gone; run again")
        rows.append(tissue_volumes(scan))
    return np.stack(rows)


def tissue_volumes(scan: PreprocessedScan) -> Floats:
    """``FEATURES`` of one scan, shape (F,)."""
    step = -(-max(scan.volume_XYZ.shape) // VOXELS_ALONG_AXIS)
    coarse = (slice(None, None, step),) * 3
    mask_XYZ = scan.mask_XYZ[coarse]
    affine = scan.affine @ np.diag([step, step, step, 1.0])
    places = _places(tuple(affine.ravel()), mask_XYZ.shape)
    shares_TN = _tissue_shares(scan.volume_XYZ[coarse][mask_XYZ], places.priors_TXYZ[:, mask_XYZ])
    enlarged = abs(float(np.linalg.det(scan.scan_to_template[:3, :3])))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000 / enlarged
    fluid, grey, white = shares_TN.sum(axis=1, dtype=np.float64)
    central = shares_TN[0, places.central_XYZ[mask_XYZ]].sum(dtype=np.float64)
    brain = shares_TN.shape[1]
    parts = np.array([grey, white, fluid, central], dtype=np.float64)
    return np.concatenate([[brain * voxel_ml], parts * voxel_ml, parts / brain])


def _tissue_shares(values_N: Image, priors_TN: Image) -> Image:
    """How much of each voxel is fluid, grey and white matter (3, N), columns summing to 1."""
    some_N, some_priors_TN = values_N[::FITTED_EVERY], priors_TN[:, ::FITTED_EVERY]
    shares_TN = some_priors_TN
    for _ in range(ITERATIONS):
        weight_T = shares_TN.sum(axis=1)
        mean_T1 = (shares_TN @ some_N / weight_T)[:, None]
        variance_T = np.einsum("tn,tn->t", shares_TN, (some_N - mean_T1) ** 2) / weight_T
        variance_T1 = np.maximum(variance_T, LEAST_SD**2)[:, None]
        shares_TN = _shares_given(some_N, some_priors_TN, mean_T1, variance_T1)
    return _shares_given(values_N, priors_TN, mean_T1, variance_T1)


def _shares_given(values_N: Image, priors_TN: Image, mean_T1: Image, variance_T1: Image) -> Image:
    """Posterior of the three tissues under their means and variances (3, 1)."""
    log_TN = np.log(priors_TN) - np.log(variance_T1) / 2
    log_TN -= (values_N - mean_T1) ** 2 / (2 * variance_T1)
    shares_TN: Image = np.exp(log_TN - log_TN.max(axis=0))
    shares_TN /= shares_TN.sum(axis=0)
    return shares_TN


@cache
def _places(affine_values: tuple[float, ...], shape_XYZ: tuple[int, int, int]) -> _Places:
    """Priors and central region on a grid; the affine (4, 4) comes as 16 numbers."""
    # Deferred: nilearn is slow to import.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template  # noqa: PLC0415

    affine = np.reshape(affine_values, (4, 4))
    spacing_mm = abs(float(np.linalg.det(affine[:3, :3]))) ** (1 / 3)
    blur_voxels = float(np.hypot(PRIOR_BLUR_MM, spacing_mm / 2)) / TEMPLATE_SPACING_MM
    maps = []
    for image in (
        load_mni152_gm_template(resolution=TEMPLATE_SPACING_MM),
        load_mni152_wm_template(resolution=TEMPLATE_SPACING_MM),
    ):
        smooth_XYZ = ndimage.gaussian_filter(np.asarray(image.dataobj, np.float64), blur_voxels)
        to_voxels = np.linalg.inv(image.affine) @ affine
        maps.append(
            ndimage.affine_transform(
                smooth_XYZ, to_voxels[:3, :3], to_voxels[:3, 3], output_shape=shape_XYZ, order=1
            )
        )
    grey_XYZ, white_XYZ = (np.clip(values, 0, 1) for values in maps)
    priors_TXYZ = np.stack([np.clip(1 - grey_XYZ - white_XYZ, 0, 1), grey_XYZ, white_XYZ])
    priors_TXYZ = np.maximum(priors_TXYZ, LEAST_PRIOR)
    priors_TXYZ /= priors_TXYZ.sum(axis=0)
    inside_XYZ = np.pad(template_mask(affine, shape_XYZ), 1)
    depth_mm = ndimage.distance_transform_edt(inside_XYZ, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    right_mm = affine[0, 0] * np.arange(shape_XYZ[0]) + affine[0, 3]
    near_XYZ = np.abs(right_mm)[:, None, None] < CENTRAL_HALF_WIDTH_MM
    return _Places(priors_TXYZ.astype(np.float32), (depth_mm > CENTRAL_DEPTH_MM) & near_XYZ)
