"""Batches from tensors: every sample once an epoch, in an order that comes again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brainage.core.batches import TensorBatches


def epoch_of(batches: TensorBatches, epoch: int) -> list[list[int]]:
    return [batch.targets.tolist() for batch in batches.batches(epoch)]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_an_epoch_has_every_sample_once_beside_its_target(
    num_samples: int, batch_size: int, seed: int, shuffle: bool
) -> None:
    targets = torch.arange(num_samples)
    inputs = targets[:, None] * torch.tensor([1.0, 10.0])
    batches = TensorBatches(inputs, targets, batch_size=batch_size, seed=seed, shuffle=shuffle)
    delivered = list(batches.batches(3))
    assert [len(each.targets) for each in delivered] == batches.batch_sizes
    assert [len(each.targets) for each in delivered[:-1]] == [batch_size] * (len(delivered) - 1)
    for batch in delivered:
        assert torch.equal(batch.inputs, batch.targets[:, None] * torch.tensor([1.0, 10.0]))
    order = [target for part in epoch_of(batches, 3) for target in part]
    assert sorted(order) == list(range(num_samples)) == list(range(batches.num_samples))
    assert shuffle or order == sorted(order)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    inputs, targets = torch.zeros(20, 1), torch.arange(20)

    def batches(seed: int) -> TensorBatches:
        return TensorBatches(inputs, targets, batch_size=4, seed=seed)

    first = epoch_of(batches(3), 0)
    torch.rand(5)
    assert epoch_of(batches(3), 0) == first
    assert epoch_of(batches(3), 1) != first
    assert epoch_of(batches(4), 0) != first


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    list(TensorBatches(torch.zeros(9, 1), torch.arange(9), batch_size=2).batches(0))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("num_inputs", "num_targets"), [(3, 2), (0, 0)])
def test_tensors_that_do_not_match_are_refused(num_inputs: int, num_targets: int) -> None:
    with pytest.raises(ValueError, match="as many targets as inputs"):
        TensorBatches(torch.zeros(num_inputs, 2), torch.zeros(num_targets), batch_size=2)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        TensorBatches(torch.zeros(3, 2), torch.zeros(3), batch_size=0)
