"""Another scale, zero or number of grey levels, and the contrast turned round."""

from functools import partial

import numpy as np
from scipy import ndimage

from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation

FACTORS = (0.01, 1000.0)
OFFSETS = (0.5,)
GREY_LEVELS = (4096, 64)
# What is brighter than this share of white matter is head, not air.
HEAD_LEVEL = 0.15


def perturbations() -> list[Perturbation]:
    """Scales, an offset, roundings, and one scan that is not T1-weighted any more."""
    scales = [
        Perturbation(name="scaling", level=f"x {factor:g}", change=partial(scale, factor=factor))
        for factor in FACTORS
    ]
    offsets = [
        Perturbation(name="offset", level=f"+ {share:.0%}", change=partial(add, share=share))
        for share in OFFSETS
    ]
    rounded = [
        Perturbation(
            name="rounding", level=f"{levels} levels", change=partial(round_to, levels=levels)
        )
        for levels in GREY_LEVELS
    ]
    turned = Perturbation(
        name="inversion", level="dark white matter", change=invert, expected="refusal or flag"
    )
    return [*scales, *offsets, *rounded, turned]


def scale(head: Head, *, factor: float) -> Scan:
    """Multiply all intensities."""
    return head.with_data(head.scan.data_XYZ * np.float32(factor))


def add(head: Head, *, share: float) -> Scan:
    """Add this share of white matter's median to all intensities."""
    return head.with_data(head.scan.data_XYZ + np.float32(share * head.white_level))


def round_to(head: Head, *, levels: int) -> Scan:
    """Whole numbers from 0 to ``levels`` - 1, as an integer file holds them; the rest is cut."""
    low, high = float(head.scan.data_XYZ.min()), float(np.quantile(head.scan.data_XYZ, 0.999))
    scaled = (head.scan.data_XYZ - low) / max(high - low, 1e-12) * (levels - 1)
    return head.with_data(np.clip(np.rint(scaled), 0, levels - 1))


def invert(head: Head) -> Scan:
    """Bright fluid and dark white matter in the head; the air around it stays dark."""
    data_XYZ = head.scan.data_XYZ
    bright = data_XYZ > head.background + HEAD_LEVEL * head.white_level
    head_XYZ = ndimage.binary_fill_holes(ndimage.binary_closing(bright, iterations=2))
    high = float(np.quantile(data_XYZ[head_XYZ], 0.995))
    inverted = np.maximum(high - data_XYZ, 0) + np.float32(head.background)
    return head.scanned(np.where(head_XYZ, inverted, data_XYZ))
