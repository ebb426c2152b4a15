"""Whether an exported model still says what the model says."""

import pytest
import torch

from brainage.export.parity import largest_difference, parity_batches


@pytest.fixture(scope="module")
def batches(volumes):
    return parity_batches(volumes[0, 0].numpy())


def test_one_scan_and_several_are_asked_about_and_lie_in_the_brain(batches):
    alone, several = batches
    assert (len(alone), len(several)) == (1, 3)
    assert torch.equal(several != 0, (alone != 0).expand_as(several))
    assert not torch.equal(several[0], several[1])


def test_the_same_answers_differ_by_rounding(model, graph, batches):
    assert largest_difference(model, "last", graph, batches) < 2e-5


@pytest.mark.parametrize("column", [0, 2])
def test_one_wrong_number_among_all_is_found(model, graph, batches, column):
    def wrong(volumes):
        ages, by_block = graph(volumes)
        together = torch.cat([ages[:, None], by_block], 1)
        together[-1, column] += 0.5 if len(volumes) > 1 else 0
        return together[:, 0], together[:, 1:]

    assert largest_difference(model, "last", wrong, batches) == pytest.approx(0.5, abs=1e-4)


def test_no_number_is_infinitely_wrong(model, graph, batches):
    def broken(volumes):
        ages, by_block = graph(volumes)
        return ages * float("nan"), by_block

    assert largest_difference(model, "last", broken, batches) == float("inf")
