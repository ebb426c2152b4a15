"""The head shifted: in the header alone, or between its voxels."""

from dataclasses import replace
from functools import partial

import numpy as np

from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation
from brainage.stress.resampling import onto_grid

HEADER_MM = (50.0,)
SHIFTED_VOXELS = (0.5,)


def perturbations() -> list[Perturbation]:
    """Shifts along all three axes at once."""
    header = [
        Perturbation(
            name="translation_header", level=f"{mm:g} mm", change=partial(shift_in_header, mm=mm)
        )
        for mm in HEADER_MM
    ]
    between = [
        Perturbation(
            name="translation_voxels",
            level=f"{voxels:g} voxels",
            change=partial(shift_voxels, voxels=voxels),
        )
        for voxels in SHIFTED_VOXELS
    ]
    return header + between


def shift_in_header(head: Head, *, mm: float) -> Scan:
    """Shift the head in scan space by its affine; no voxel's value changes."""
    affine = head.scan.affine.copy()
    affine[:3, 3] += mm
    return replace(head.scan, affine=affine)


def shift_voxels(head: Head, *, voxels: float) -> Scan:
    """Sample the head between its voxels, by linear interpolation; it stays where it is."""
    affine = head.scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, voxels)
    return onto_grid(head.scan, affine, head.scan.data_XYZ.shape, head.background)
