"""What the output heads of one network amount to."""

import pytest
import torch

from brainage.bundle.answer import answered_years, block_of
from brainage.core.blocks import BlockOutputs
from brainage.core.tasks import RegressionTask


def outputs_of(*heads):
    """Blocks whose heads say these numbers of one scan; None is a block without a head."""
    nothing = torch.zeros(1, 1)
    return [
        BlockOutputs(nothing, None, None if head is None else torch.tensor([[head]]))
        for head in heads
    ]


@pytest.fixture
def task():
    """Ages are outputs times 10, plus 40."""
    return RegressionTask(mean_years=40.0, sd_years=10.0, loss="l1")


@pytest.mark.parametrize(
    ("answer", "block"), [("last", None), ("ensemble", None), ("block2", 2), ("block10", 10)]
)
def test_some_answers_name_a_block(answer, block):
    assert block_of(answer) == block


@pytest.mark.parametrize(
    ("answer", "years"), [("last", 70.0), ("block3", 70.0), ("ensemble", 60.0)]
)
def test_the_last_head_answers_or_all_together(task, answer, years):
    """A block without a head keeps its number, so that others keep theirs."""
    age_B, by_block = answered_years(task, outputs_of(1.0, None, 3.0), answer)
    assert age_B.tolist() == pytest.approx([years])
    assert {block: ages.item() for block, ages in by_block.items()} == {1: 50.0, 3: 70.0}


def test_where_the_last_block_has_no_head_the_one_before_answers(task):
    age_B, by_block = answered_years(task, outputs_of(1.0, None), "last")
    assert (age_B.item(), list(by_block)) == (50.0, [1])
