"""Where registration starts, and where else when that ends badly."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from brainage.preprocess.config import TEMPLATE_BRAIN_HIGH_MM, TEMPLATE_BRAIN_LOW_MM
from brainage.preprocess.state import Matrix, ScanState
from brainage.preprocess.upright import rotation_of

# The search finds its way from about 30 degrees; more is a header with wrong axes.
OTHER_DEGREES = (45.0, -45.0, 90.0, -90.0, 180.0)


@dataclass(frozen=True)
class Start:
    """A matrix (4, 4) applied to scan space first, and what `register_linear` aligns then."""

    turn: Matrix
    align: str = "masses"


def first_start(state: ScanState) -> Start:
    """As the scan lies, or upright where an earlier round tells how it lies."""
    turn = np.eye(4)
    if state.pose is not None:
        turn[:3, :3] = rotation_of(state.pose[:3, :3])
    return Start(turn)


def other_starts(state: ScanState) -> Iterator[Start]:
    """The middles of the boxes on one another, then turns about each axis."""
    first = first_start(state).turn
    yield Start(_middle_on_middle(state, first), align="nothing")
    for degrees in OTHER_DEGREES:
        for axis in range(3):
            yield Start(_rotation(axis, degrees) @ first)


def _middle_on_middle(state: ScanState, turn: Matrix) -> Matrix:
    """``turn`` with a shift that puts the middle of the brain's box on that of the template's."""
    assert state.brain is not None
    middle = (np.array(state.brain.mask_XYZ.shape) - 1) / 2
    middle_mm = turn @ state.brain.affine(state.scan.affine) @ [*middle, 1.0]
    wanted_mm = (np.array(TEMPLATE_BRAIN_LOW_MM) + np.array(TEMPLATE_BRAIN_HIGH_MM)) / 2
    shifted = turn.copy()
    shifted[:3, 3] += wanted_mm - middle_mm[:3]
    return shifted


def _rotation(axis: int, degrees: float) -> Matrix:
    """A rotation (4, 4) about one axis of space."""
    angle = np.radians(degrees)
    first, second = (other for other in range(3) if other != axis)
    matrix = np.eye(4)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
