"""What every scan of a head fulfils: three axes, plausible sizes and spacings, finite voxels."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.errors import ScanError

MIN_VOXELS_PER_AXIS = 16
MAX_VOXELS_PER_AXIS = 1024
MAX_VOXELS = 2**28
MIN_SPACING_MM = 0.1
MAX_SPACING_MM = 10.0
# Volume of the parallelepiped of the unit axis vectors: 1 when orthogonal, 0 when singular.
MIN_AXES_DETERMINANT = 0.1


def voxel_spacing_mm(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Length in millimetres of one step along each voxel axis, (3,)."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0), dtype=np.float64)


def three_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Drop trailing axes of length one and insist on exactly three.

    Raises:
        ScanError: stage ``check``.
    """
    num_axes = len(shape)
    while num_axes > 3 and shape[num_axes - 1] == 1:
        num_axes -= 1
    if num_axes != 3:
        series = f", a series of {math.prod(shape[3:])} volumes" if num_axes > 3 else ""
        raise ScanError(
            path, "check", f"expected one 3D volume, got shape {shape_text(shape)}{series}"
        )
    return shape[0], shape[1], shape[2]


def check_shape(path: Path, shape: tuple[int, int, int]) -> None:
    """Refuse sizes that no scan of a head has.

    Raises:
        ScanError: stage ``check``.
    """
    if min(shape) < MIN_VOXELS_PER_AXIS or max(shape) > MAX_VOXELS_PER_AXIS:
        raise ScanError(
            path,
            "check",
            f"expected {MIN_VOXELS_PER_AXIS} to {MAX_VOXELS_PER_AXIS} voxels per axis, "
            f"got {shape_text(shape)}",
        )
    if math.prod(shape) > MAX_VOXELS:
        raise ScanError(
            path, "check", f"expected at most {MAX_VOXELS} voxels, got {math.prod(shape)}"
        )


def check_affine(path: Path, affine: npt.NDArray[np.float64]) -> None:
    """Refuse spacings and axes that no scan of a head has.

    Raises:
        ScanError: stage ``check``.
    """
    if not np.isfinite(affine).all():
        raise ScanError(path, "check", "expected a finite affine, got NaN or infinity in it")
    with np.errstate(over="ignore", invalid="ignore"):
        spacing_mm = voxel_spacing_mm(affine)
    if spacing_mm.min() < MIN_SPACING_MM or spacing_mm.max() > MAX_SPACING_MM:
        got = " x ".join(f"{value:.3g}" for value in spacing_mm)
        raise ScanError(
            path,
            "check",
            f"expected a voxel spacing of {MIN_SPACING_MM} to {MAX_SPACING_MM} mm, got {got} mm",
        )
    determinant = abs(float(np.linalg.det(affine[:3, :3] / spacing_mm)))
    if determinant < MIN_AXES_DETERMINANT:
        raise ScanError(
            path,
            "check",
            f"expected three independent voxel axes, got a singular affine "
            f"(determinant of the axis directions {determinant:.2g})",
        )


def check_values(path: Path, data: npt.NDArray[np.float32]) -> None:
    """Refuse non-finite voxels, however few, and volumes without any contrast.

    A NaN outside the head would be harmless, but where it lies is only known after brain
    extraction; replacing values silently is what reading does not do.

    Raises:
        ScanError: stage ``check``.
    """
    num_bad = data.size - int(np.count_nonzero(np.isfinite(data)))
    if num_bad:
        raise ScanError(
            path, "check", f"expected finite voxels, got {num_bad} of {data.size} NaN or infinite"
        )
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise ScanError(path, "check", f"expected an image, got the value {low:g} in every voxel")


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as people write it."""
    return " x ".join(str(int(size)) for size in shape)
