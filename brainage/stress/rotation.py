"""The head turned: in the header alone, which is exact, or on its voxels, which interpolates."""

from dataclasses import replace
from functools import partial

import numpy as np

from brainage.preprocess.state import Matrix
from brainage.scans.nifti import Scan
from brainage.stress.head import Head, head_centre_mm, in_canonical_order
from brainage.stress.perturbation import Perturbation
from brainage.stress.resampling import grid_around, onto_grid

# Turns about the axes of scan space: nodding, tilting to a shoulder, looking to a side.
AXES = {"x": 0, "y": 1, "z": 2}
HEADER_DEGREES = (20.0,)
VOXEL_DEGREES = (12.0,)


def perturbations() -> list[Perturbation]:
    """Turns about each axis, in the header and resampled."""
    turns = [("header", turn_in_header, HEADER_DEGREES), ("voxels", turn_voxels, VOXEL_DEGREES)]
    return [
        Perturbation(
            name=f"rotation_{way}",
            level=f"{axis} {degrees:g}°",
            change=partial(change, axis=index, degrees=degrees),
        )
        for way, change, levels in turns
        for axis, index in AXES.items()
        for degrees in levels
    ]


def turn_in_header(head: Head, *, axis: int, degrees: float) -> Scan:
    """Turn the head in scan space by its affine; no voxel's value changes."""
    turn = rotation_about(head, axis, degrees)
    return in_canonical_order(replace(head.scan, affine=turn @ head.scan.affine))


def turn_voxels(head: Head, *, axis: int, degrees: float) -> Scan:
    """Turn the head on its voxels by linear interpolation; the grid grows, so nothing is cut."""
    scan = head.scan
    turn = rotation_about(head, axis, degrees)
    turned = replace(scan, affine=turn @ scan.affine)
    sizes = np.array(scan.data_XYZ.shape)
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in sizes])).reshape(3, -1)
    to_grid = np.linalg.inv(scan.affine) @ turned.affine
    places = to_grid[:3, :3] @ corners + to_grid[:3, 3:]
    affine, shape_XYZ = grid_around(scan.affine, places.min(axis=1), places.max(axis=1))
    return onto_grid(turned, affine, shape_XYZ, head.background)


def rotation_about(head: Head, axis: int, degrees: float) -> Matrix:
    """Rotation (4, 4) about the brain's centre and one axis of scan space."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [other for other in range(3) if other != axis]
    turn = np.eye(4)
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    centre = head_centre_mm(head)
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    return turn
