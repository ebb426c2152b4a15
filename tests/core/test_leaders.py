import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brainage.core.leaders import count_leaders, select_leaders


@given(st.integers(1, 64), st.integers(1, 100))
def test_count_is_the_exact_ceiling(num_workers: int, percent: int) -> None:
    assert count_leaders(num_workers, percent / 100) == -(-percent * num_workers // 100)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, math.nan])
def test_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="leader_fraction"):
        select_leaders(torch.rand(2, 3), fraction)


@given(st.integers(1, 6), st.integers(1, 9), st.floats(0.01, 1), st.integers(0, 9))
def test_sample_selection_takes_the_lowest_of_each_row(
    batch: int, workers: int, fraction: float, seed: int
) -> None:
    losses = torch.rand(batch, workers, generator=torch.Generator().manual_seed(seed))
    mask, best = select_leaders(losses, fraction, "sample")
    k = count_leaders(workers, fraction)
    assert mask.sum(1).tolist() == [k] * batch
    assert best.tolist() == losses.argmin(1).tolist()
    for row, leads in zip(losses, mask, strict=True):
        assert row[leads].max() <= row[~leads].min() if k < workers else leads.all()


def test_ties_go_to_the_lower_index() -> None:
    mask, best = select_leaders(torch.zeros(3, 50), 0.2)
    assert mask[:, :10].all()
    assert not mask[:, 10:].any()
    assert best.tolist() == [0, 0, 0]


def test_batch_selection_is_by_the_mean_and_alike_for_all_samples() -> None:
    losses = torch.tensor([[0.0, 3.0, 8.0], [9.0, 4.0, 0.5]])
    mask, best = select_leaders(losses, 0.5, "batch")
    assert mask.tolist() == [[False, True, True]] * 2
    assert best.tolist() == [1, 1]
