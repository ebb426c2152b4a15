"""Whether the slices of a series make up one volume; converters fill gaps without a word."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainage.errors import ScanError
from brainage.scans.checks import MIN_VOXELS_PER_AXIS
from brainage.scans.dicom.headers import Slice
from brainage.scans.dicom.series import Series

SAME_PLACE_MM = 0.01
MAX_STEP_DEVIATION = 0.05
"""As a fraction of the usual step between slices; headers round to a few digits."""
MAX_DIRECTION_DEVIATION = 1e-3


def check_geometry(path: Path, series: Series) -> None:
    """Refuse a series whose slices are missing, of several sizes, or of several volumes.

    Slices that are missing at an end cannot be told from a smaller field of view.

    Raises:
        ScanError: stage ``check``, with the series' number and what was found.
    """
    fault = _fault(series.slices)
    if fault is not None:
        raise ScanError(path, "check", f"{series.name}: {fault}")


def _fault(slices: Sequence[Slice]) -> str | None:
    sizes = Counter(f"{slice_.size[0]} x {slice_.size[1]}" for slice_ in slices)
    if len(sizes) > 1:
        listed = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items()))
        return f"expected slices of one size, got {listed}"
    unplaced = sum(not (s.position_mm and s.axes and s.spacing_mm) for s in slices)
    if unplaced:
        return f"{unplaced} of {len(slices)} slices do not say where they are"
    axes = np.array([slice_.axes for slice_ in slices])
    turned = np.abs(axes - axes[0]).max(axis=1) > MAX_DIRECTION_DEVIATION
    if turned.any():
        return f"expected parallel slices, got {turned.sum()} of {len(slices)} in other directions"
    spacings = np.array([slice_.spacing_mm for slice_ in slices])
    if np.ptp(spacings, axis=0).max() > SAME_PLACE_MM:
        return "expected slices with one pixel spacing, got several"
    return _fault_of_positions(np.array([slice_.position_mm for slice_ in slices]), axes[0])


def _fault_of_positions(
    positions_mm: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    axes: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> str | None:
    """What is wrong with where slices lie, (S, 3) in mm, along the normal of their axes (6,)."""
    normal = np.cross(axes[:3], axes[3:])
    heights_mm = positions_mm @ normal
    order = np.argsort(heights_mm)
    steps_mm = np.diff(heights_mm[order])
    num_same = int((steps_mm < SAME_PLACE_MM).sum())
    if num_same:
        return (
            f"expected one slice at each place, got {len(heights_mm)} at "
            f"{len(heights_mm) - num_same} places: several volumes or echoes, or copies"
        )
    if len(heights_mm) < MIN_VOXELS_PER_AXIS:
        return (
            f"expected at least {MIN_VOXELS_PER_AXIS} slices, got {len(heights_mm)}; "
            "files are missing, or it is no volume of a head"
        )
    usual_mm = float(np.median(steps_mm))
    missing = np.rint(steps_mm / usual_mm - 1).clip(0)
    if missing.any():
        return (
            f"about {int(missing.sum())} slices are missing: steps of {usual_mm:.3g} mm, but "
            f"{np.count_nonzero(missing)} of up to {steps_mm.max():.3g} mm"
        )
    if np.abs(steps_mm - usual_mm).max() > MAX_STEP_DEVIATION * usual_mm:
        low, high = steps_mm.min(), steps_mm.max()
        return f"expected even steps between slices, got {low:.3g} to {high:.3g} mm"
    sideways_mm = np.diff(positions_mm[order], axis=0) - steps_mm[:, None] * normal
    if np.linalg.norm(sideways_mm, axis=1).max() > MAX_STEP_DEVIATION * usual_mm:
        return "expected slices stacked along their normal, got slices shifted sideways"
    return None
