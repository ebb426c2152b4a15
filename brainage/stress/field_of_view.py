"""A smaller or larger field of view that still holds the whole brain."""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from brainage.preprocess.foreground import bounding_box
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import NotApplicable, Perturbation

BELOW_MM = (20.0, 5.0)
AROUND_MM = (20.0, 8.0)
ADDED_MM = (40.0,)


def perturbations() -> list[Perturbation]:
    """The neck cut off, the other sides cut, and air added."""
    neck = [_named("crop_neck", f"{mm:g} mm left", partial(cut_neck, mm=mm)) for mm in BELOW_MM]
    sides = [_named("crop_sides", f"{mm:g} mm left", partial(cut_sides, mm=mm)) for mm in AROUND_MM]
    more = [_named("padding", f"{mm:g} mm", partial(add_air, mm=mm)) for mm in ADDED_MM]
    return neck + sides + more


def _named(name: str, level: str, change: partial[Scan]) -> Perturbation:
    return Perturbation(name=name, level=level, change=change)


def cut_neck(head: Head, *, mm: float) -> Scan:
    """Keep this much below the brain's lowest slice."""
    start_XYZ, _ = bounding_box(head.brain_mask)
    low = np.zeros(3, dtype=np.int64)
    low[2] = start_XYZ[2] - round(mm / float(head.scan.spacing_mm[2]))
    if low[2] <= 0:
        raise NotApplicable(f"the scan shows less than {mm:g} mm below the brain")
    return _cut(head.scan, low, np.array(head.scan.data_XYZ.shape))


def cut_sides(head: Head, *, mm: float) -> Scan:
    """Keep this much left, right, behind, before and above the brain; the neck stays."""
    start_XYZ, stop_XYZ = bounding_box(head.brain_mask)
    margin = np.rint(mm / head.scan.spacing_mm).astype(np.int64)
    sizes = np.array(head.scan.data_XYZ.shape)
    low, high = np.maximum(start_XYZ - margin, 0), np.minimum(stop_XYZ + margin, sizes)
    low[2] = 0
    if (low == 0).all() and (high == sizes).all():
        raise NotApplicable(f"the scan shows less than {mm:g} mm around the brain")
    return _cut(head.scan, low, high)


def add_air(head: Head, *, mm: float) -> Scan:
    """Add this much background on all six sides."""
    scan = head.scan
    margin = np.rint(mm / scan.spacing_mm).astype(np.int64)
    pad = [(int(voxels), int(voxels)) for voxels in margin]
    data_XYZ = np.pad(scan.data_XYZ, pad, constant_values=np.float32(head.background))
    affine = scan.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ margin
    return replace(scan, data_XYZ=data_XYZ, affine=affine)


def _cut(scan: Scan, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> Scan:
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return replace(scan, data_XYZ=np.ascontiguousarray(scan.data_XYZ[box]), affine=affine)
