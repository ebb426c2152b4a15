"""Enlarged lateral ventricles: a dose-response with a known direction.

A smooth displacement pushes the walls of the template's lateral ventricles outwards and fades
with distance; the head's registration takes it to the scan. The registration is affine, so the
growth in per cent is the same in both, of the region where the template has ventricles: the
person's own ventricles are not segmented.
"""

from functools import cache, partial

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.foreground import bounding_box
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation

PER_CENT = (25.0, 50.0, 100.0, 150.0)
# Boxes of template millimetres, low to high, that hold one lateral ventricle each.
BOXES_MM = (((-36, -58, -4), (-2, 26, 32)), ((2, -58, -4), (36, 26, 32)))
# Where walls are pushed, and over which distance that fades.
WALL_SMOOTHING_MM = 3.0
REACH_MM = 18.0
MAX_PUSH_MM = 12.0

Field = npt.NDArray[np.float32]


def perturbations() -> list[Perturbation]:
    """Doses of growth."""
    return [
        Perturbation(
            name="ventricles",
            level=f"+ {dose:g} %",
            change=partial(enlarge, per_cent=dose),
            dose=dose,
            expected="older",
        )
        for dose in PER_CENT
    ]


def enlarge(head: Head, *, per_cent: float) -> Scan:
    """Enlarge the ventricles' region by this part of its volume; the outer brain stays."""
    outward_mm = displacement(per_cent)
    # The value at a place is taken from where the displacement came from.
    back = np.linalg.inv((head.scan_to_template @ head.scan.affine)[:3, :3])
    moved_mm = np.stack([head.template_map(part) for part in outward_mm])
    moving = np.any(np.abs(moved_mm) > 1e-3, axis=0)
    shifts = back @ moved_mm[:, moving]
    places = np.argwhere(moving).T - shifts
    data_XYZ = head.scan.data_XYZ.copy()
    near = data_XYZ[moving]
    values = ndimage.map_coordinates(data_XYZ, places, order=3, mode="nearest")
    data_XYZ[moving] = np.clip(values, near.min(), near.max())
    return head.with_data(data_XYZ)


@cache
def ventricle_mask() -> npt.NDArray[np.bool_]:
    """The template's lateral ventricles, on its 2 mm grid: 12 ml."""
    fluid = load_tissue_labels() == TISSUES["csf"]
    template = load_template()
    mask_XYZ = np.zeros(fluid.shape, dtype=bool)
    for low_mm, high_mm in BOXES_MM:
        start, stop = (
            np.rint((np.array(mm) - template.affine[:3, 3]) / TEMPLATE_SPACING_MM).astype(int)
            for mm in (low_mm, high_mm)
        )
        box = tuple(slice(a, b + 1) for a, b in zip(start, stop, strict=True))
        labels, _ = ndimage.label(fluid[box])
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        mask_XYZ[box] |= labels == sizes.argmax()
    return mask_XYZ


@cache
def displacement(per_cent: float) -> tuple[Field, Field, Field]:
    """Template millimetres by which each place of the template's grid came outwards.

    The push at the walls is found by halving, so that the warped region has the volume asked for.
    """
    low_mm, high_mm = 0.0, MAX_PUSH_MM
    for _ in range(24):
        middle_mm = (low_mm + high_mm) / 2
        if growth_per_cent(pushed(middle_mm)) < per_cent:
            low_mm = middle_mm
        else:
            high_mm = middle_mm
    x, y, z = pushed(high_mm)
    return x, y, z


def growth_per_cent(outward_mm: npt.NDArray[np.float32]) -> float:
    """How much larger the ventricles' region becomes by a displacement (3, X, Y, Z)."""
    # Only where a wall can come to lie: this is asked two dozen times for a dose.
    start, stop = bounding_box(ventricle_mask())
    margin = round(MAX_PUSH_MM / TEMPLATE_SPACING_MM) + 1
    box = tuple(slice(a - margin, b + margin) for a, b in zip(start, stop, strict=True))
    mask = ventricle_mask()[box].astype(np.float32)
    moved = outward_mm[(slice(None), *box)] / TEMPLATE_SPACING_MM
    places = np.indices(mask.shape, dtype=np.float32) - moved
    after = ndimage.map_coordinates(mask, places, order=1)
    return 100.0 * float(after.sum(dtype=np.float64) / mask.sum(dtype=np.float64) - 1)


def pushed(push_mm: float) -> npt.NDArray[np.float32]:
    """The displacement (3, X, Y, Z) whose length at the walls is about ``push_mm``."""
    direction, fade = _walls()
    return np.asarray(push_mm * direction * fade, dtype=np.float32)


@cache
def _walls() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Direction away from the ventricles (3, X, Y, Z), and a weight that is 1 at the walls."""
    mask = ventricle_mask()
    outside, inside = (
        ndimage.distance_transform_edt(part, sampling=TEMPLATE_SPACING_MM) for part in (~mask, mask)
    )
    signed_mm = ndimage.gaussian_filter(
        outside - inside, WALL_SMOOTHING_MM / TEMPLATE_SPACING_MM, mode="nearest"
    )
    direction = np.stack(np.gradient(signed_mm, TEMPLATE_SPACING_MM)).astype(np.float32)
    fade = np.exp(-0.5 * (np.maximum(signed_mm, 0) / (REACH_MM / 2)) ** 2)
    return direction, fade.astype(np.float32)
