import pytest
import torch

from brainage.core.hilbert import hilbert_order


def cells(order: int, num_axes: int) -> torch.Tensor:
    """Coordinates (T, axes) in the order of the visit."""
    flat = hilbert_order(order, num_axes)
    return torch.stack(torch.unravel_index(flat, (2**order,) * num_axes), 1)


@pytest.mark.parametrize(("order", "num_axes"), [(1, 2), (2, 2), (5, 2), (1, 3), (3, 3)])
def test_every_cell_is_visited_once_and_the_next_is_its_neighbour(
    order: int, num_axes: int
) -> None:
    visited = cells(order, num_axes)
    assert len(torch.unique(visited, dim=0)) == 2 ** (order * num_axes)
    assert (visited[1:] - visited[:-1]).abs().sum(1).unique().tolist() == [1]
    assert visited[0].tolist() == [0] * num_axes


def test_the_curve_stays_near() -> None:
    """Cells 16 steps apart lie within one 8x8 corner of a 32x32 square, unlike row by row."""
    visited = cells(5, 2)
    assert int((visited[16:] - visited[:-16]).abs().max()) <= 8


@pytest.mark.parametrize(("order", "num_axes"), [(0, 2), (5, 1), (13, 2)])
def test_curves_without_cells_or_with_too_many_are_refused(order: int, num_axes: int) -> None:
    with pytest.raises(ValueError, match="at most 2\\*\\*24 cells"):
        hilbert_order(order, num_axes)
