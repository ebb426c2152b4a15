"""Another voxel size, and a blurred image."""

from functools import partial

import numpy as np

from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import NotApplicable, Perturbation
from brainage.stress.resampling import grid_around, onto_grid, smoothed

SPACINGS_MM = {
    "1.5 mm": (1.5, 1.5, 1.5),
    "2 mm": (2.0, 2.0, 2.0),
    "3 mm": (3.0, 3.0, 3.0),
    "1 x 1 x 5 mm": (1.0, 1.0, 5.0),
}
BLUR_FWHM_MM = (2.0, 4.0)
SAME = 0.02


def perturbations() -> list[Perturbation]:
    """Voxel sizes, the last that of thick axial slices, and blurs."""
    sizes = [
        Perturbation(name="resampling", level=level, change=partial(resample, spacing_mm=mm))
        for level, mm in SPACINGS_MM.items()
    ]
    blurs = [
        Perturbation(name="blur", level=f"{mm:g} mm", change=partial(blur, fwhm_mm=mm))
        for mm in BLUR_FWHM_MM
    ]
    return sizes + blurs


def resample(head: Head, *, spacing_mm: tuple[float, float, float]) -> Scan:
    """Other voxels over the same field of view; no detail that they cannot hold is left.

    Source: width of the Gaussian after Cardoso et al. 2015, MICCAI, as in the preprocessing.
    """
    scan = head.scan
    new_mm, old_mm = np.array(spacing_mm), scan.spacing_mm
    if np.allclose(new_mm, old_mm, rtol=SAME):
        raise NotApplicable("the scan has this voxel size")
    softer = head.with_data(smoothed(scan, np.sqrt(np.maximum(new_mm**2 - old_mm**2, 0))))
    affine = scan.affine.copy()
    affine[:3, :3] *= new_mm / old_mm
    last = (np.array(scan.data_XYZ.shape) - 1) * old_mm / new_mm
    affine, shape_XYZ = grid_around(affine, np.zeros(3), np.floor(last))
    return onto_grid(softer, affine, shape_XYZ, head.background)


def blur(head: Head, *, fwhm_mm: float) -> Scan:
    """Blur by a Gaussian of this full width at half maximum."""
    return head.scanned(smoothed(head.scan, fwhm_mm))
