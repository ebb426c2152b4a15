"""Put a raw scan on another grid, background around it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.state import Matrix
from brainage.scans.nifti import Scan

# A Gaussian's full width at half maximum in units of its standard deviation.
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def onto_grid(
    scan: Scan, affine: Matrix, shape_XYZ: tuple[int, ...], background: float, order: int = 1
) -> Scan:
    """The scan's intensities at the voxels of another grid.

    Args:
        scan: what is resampled, as it is: without smoothing before.
        affine: (4, 4), voxels of the new grid to millimetres in scan space.
        shape_XYZ: voxels of the new grid.
        background: value beyond the scan.
        order: of the spline; 1 is linear.
    """
    to_voxels = np.linalg.inv(scan.affine) @ affine
    data_XYZ = ndimage.affine_transform(
        scan.data_XYZ,
        to_voxels[:3, :3],
        to_voxels[:3, 3],
        output_shape=shape_XYZ,
        order=order,
        cval=background,
    )
    return replace(scan, data_XYZ=np.asarray(data_XYZ, dtype=np.float32), affine=affine)


def smoothed(scan: Scan, fwhm_mm: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The scan's intensities after a Gaussian of this width, along each axis if three are given."""
    sigma_voxels = np.broadcast_to(fwhm_mm, (3,)) / FWHM_PER_SIGMA / scan.spacing_mm
    blurred = ndimage.gaussian_filter(scan.data_XYZ, sigma_voxels, mode="nearest", truncate=3.0)
    return np.asarray(blurred, dtype=np.float32)


def grid_around(
    affine: Matrix, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[Matrix, tuple[int, ...]]:
    """The grid whose first and last voxels lie at ``low`` and ``high``, (3,) voxels of another."""
    start = np.floor(low)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ start
    return moved, tuple(int(size) for size in np.ceil(high) - start + 1)
