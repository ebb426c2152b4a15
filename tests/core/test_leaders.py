import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brainage.core.config import ObjectiveConfig
from brainage.core.leaders import LossHistory, count_leaders, select_leaders
from tests.core.helpers import make_ages, make_engine

LOSSES = torch.tensor([[0.0, 3.0, 8.0], [9.0, 4.0, 0.5]])


@given(st.integers(1, 64), st.integers(1, 100))
def test_count_is_the_exact_ceiling(num_workers: int, percent: int) -> None:
    assert count_leaders(num_workers, percent / 100) == -(-percent * num_workers // 100)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, math.nan])
def test_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="leader_fraction"):
        select_leaders(torch.rand(2, 3), fraction)


def test_nobody_cannot_lead() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        count_leaders(0, 0.5)


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


@pytest.mark.parametrize("selection", ["sample", "batch", "epoch", "running"])
def test_ties_go_to_the_lower_index(selection: str) -> None:
    mask, best = select_leaders(torch.zeros(3, 50), 0.2, selection, LossHistory(50, 0.9))
    assert mask[:, :10].all()
    assert not mask[:, 10:].any()
    assert best.tolist() == [0, 0, 0]


def test_batch_selection_is_by_the_mean_and_alike_for_all_samples() -> None:
    mask, best = select_leaders(LOSSES, 0.5, "batch")
    assert mask.tolist() == [[False, True, True]] * 2
    assert best.tolist() == [1, 1]


def test_the_first_epoch_goes_by_the_batch_and_the_next_by_the_epoch_before() -> None:
    history = LossHistory(3, 0.9)
    for losses in (LOSSES, LOSSES[:1]):
        best = select_leaders(losses, 0.3, "epoch", history).best_B
        assert torch.equal(best, select_leaders(losses, 0.3, "batch").best_B)
    history.end_epoch()
    # Means over the epoch's three samples: 3, 10/3, 5.5.
    again = torch.tensor([[9.0, 9.0, 0.0]])
    assert select_leaders(again, 0.3, "epoch", history).best_B.tolist() == [0]
    history.end_epoch()
    assert select_leaders(LOSSES, 0.3, "epoch", history).best_B.tolist() == [2, 2]


def test_an_epoch_without_a_batch_changes_no_ranking() -> None:
    history = LossHistory(3, 0.9)
    history.observe(LOSSES)
    history.end_epoch()
    ranking = history.last_epoch_W.clone()
    history.end_epoch()
    assert torch.equal(history.last_epoch_W, ranking)
    assert int(history.num_epochs) == 1


def test_a_running_mean_remembers_a_worker_that_was_good() -> None:
    history = LossHistory(2, 0.9)
    for _ in range(10):
        select_leaders(torch.tensor([[0.0, 1.0]]), 0.5, "running", history)
    once_bad = torch.tensor([[3.0, 1.0]])
    assert select_leaders(once_bad, 0.5, "running", history).best_B.tolist() == [0]
    assert select_leaders(once_bad, 0.5, "batch").best_B.tolist() == [1]


def test_memory_survives_being_saved_and_carries_no_gradient() -> None:
    history = LossHistory(3, 0.5)
    history.observe(LOSSES.clone().requires_grad_())
    again = LossHistory(3, 0.5)
    again.load_state_dict(history.state_dict())
    for each in (history, again):
        each.observe(LOSSES[:1])
        each.end_epoch()
    assert not history.running_W.requires_grad
    for name, value in history.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize("selection", ["epoch", "running"])
def test_only_training_is_remembered(selection: str) -> None:
    """Every block counts the batches it trained on; predicting leaves no trace."""
    engine = make_engine(ObjectiveConfig(leader_fraction=0.5, selection=selection))
    for step in range(2):
        engine.train_step(make_ages(), step, 0.01)
    engine.predict(make_ages().inputs)
    histories = [block.history for block in engine.chain]
    assert [int(each.num_batches) for each in histories] == [2, 2, 2]
    engine.end_epoch()
    assert [int(each.num_epochs) for each in histories] == [1, 1, 1]


@pytest.mark.parametrize("selection", ["sample", "batch"])
def test_blocks_without_need_remember_nothing(selection: str) -> None:
    engine = make_engine(ObjectiveConfig(leader_fraction=0.5, selection=selection))
    assert [block.history for block in engine.chain] == [None] * 3
