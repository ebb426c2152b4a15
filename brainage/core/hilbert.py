"""The Hilbert curve: an order in which the cells of a square or cube are visited.

Cells that are close along the curve are close in space, so that a picture becomes a sequence that
keeps its neighbourhoods.
"""

import torch
from torch import Tensor


def hilbert_order(order: int, num_axes: int) -> Tensor:
    """Flat indices of the cells of a square or cube, in the order the curve visits them.

    Args:
        order: the curve visits ``2**order`` cells along each axis.
        num_axes: 2 for a square, 3 for a cube.

    Returns:
        A permutation of all cells, shape (2**(order * num_axes),), int64; ``image.flatten()[it]``
        is the sequence. The first cell is the one at the origin.

    Raises:
        ValueError: if the curve has no cells or more than 2**24.
    Source: Skilling 2004, AIP Conference Proceedings 707:381 (transpose form).
    """
    if order < 1 or num_axes < 2 or order * num_axes > 24:
        raise ValueError(
            f"expected an order of at least 1, at least 2 axes and at most 2**24 cells, got order "
            f"{order} with {num_axes} axes"
        )
    distance = torch.arange(2 ** (order * num_axes))
    axes = _undo_excess(_gray_decoded(_transposed(distance, order, num_axes)), order)
    flat = torch.zeros_like(distance)
    for axis in axes:
        flat = flat * 2**order + axis
    return flat


def _transposed(distance: Tensor, order: int, num_axes: int) -> list[Tensor]:
    """Deal the bits of the distance out to the axes in turn, highest first."""
    axes = [torch.zeros_like(distance) for _ in range(num_axes)]
    for bit in range(order * num_axes):
        place = order * num_axes - 1 - bit
        axis = bit % num_axes
        axes[axis] = axes[axis] * 2 + (distance >> place & 1)
    return axes


def _gray_decoded(axes: list[Tensor]) -> list[Tensor]:
    """Turn the dealt-out distance into its Gray code."""
    carried = axes[-1] >> 1
    for axis in range(len(axes) - 1, 0, -1):
        axes[axis] = axes[axis] ^ axes[axis - 1]
    axes[0] = axes[0] ^ carried
    return axes


def _undo_excess(axes: list[Tensor], order: int) -> list[Tensor]:
    """Turn and mirror the sub-cubes of every level, finest first."""
    for level in range(1, order):
        bit, low = 1 << level, (1 << level) - 1
        for axis in range(len(axes) - 1, -1, -1):
            mirrored = (axes[axis] & bit).bool()
            swapped = (axes[0] ^ axes[axis]) & low
            first = torch.where(mirrored, axes[0] ^ low, axes[0] ^ swapped)
            axes[axis] = torch.where(mirrored, axes[axis], axes[axis] ^ swapped)
            axes[0] = first
    return axes
