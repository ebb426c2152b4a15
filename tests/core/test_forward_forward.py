"""Forward-forward: labels written into inputs, goodness, contrast, and scores by class."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from brainage.core.blocks import Block, BlockChain
from brainage.core.config import BlocksConfig, ObjectiveConfig, TaskConfig
from brainage.core.forward_forward import (
    THRESHOLD,
    UnitLength,
    class_scores,
    contrast,
    contrast_loss,
    goodness,
    overlay_labels,
    wrong_labels,
)
from brainage.core.learner import Learner
from brainage.core.training_config import OptimizerConfig
from brainage.core.types import Batch
from tests.core.helpers import make_ages, make_engine, make_task

RULE = ObjectiveConfig(name="forward_forward")


def test_a_label_is_the_inputs_largest_value_at_its_place() -> None:
    images = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[9.0, -5.0], [0.5, 2.0]]]])
    labelled = overlay_labels(images, torch.tensor([2, 0]), 3)
    assert labelled.tolist() == [[[[0.0, 0.0], [4.0, 4.0]]], [[[9.0, 0.0], [0.0, 2.0]]]]
    assert images[0, 0, 0, 0] == 1.0, "the input itself stays"


def test_inputs_smaller_than_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="writes 5 classes into inputs of 4 values"):
        overlay_labels(torch.zeros(2, 4), torch.tensor([0, 1]), 5)


@given(st.integers(2, 12), st.integers(0, 999))
def test_wrong_labels_are_classes_and_never_right(num_classes: int, seed: int) -> None:
    torch.manual_seed(seed)
    right = torch.arange(40) % num_classes
    wrong = wrong_labels(right, num_classes)
    assert ((wrong >= 0) & (wrong < num_classes) & (wrong != right)).all()


def test_all_wrong_labels_are_drawn() -> None:
    torch.manual_seed(0)
    wrong = wrong_labels(torch.zeros(200, dtype=torch.int64), 5)
    assert set(wrong.tolist()) == {1, 2, 3, 4}


def test_contrast_is_right_then_wrong() -> None:
    batch = Batch(torch.rand(3, 6), torch.tensor([0, 1, 2]))
    wrong = torch.tensor([2, 0, 1])
    doubled = contrast(batch, wrong, 3)
    assert torch.equal(doubled.inputs[:3], overlay_labels(batch.inputs, batch.targets, 3))
    assert torch.equal(doubled.inputs[3:], overlay_labels(batch.inputs, wrong, 3))
    assert doubled.targets.tolist() == [0, 1, 2, 2, 0, 1]


def test_goodness_is_the_mean_square_and_the_loss_a_logistic_one() -> None:
    features = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    assert goodness(features).tolist() == [5.0, 1.0]
    right, wrong = math.log1p(math.exp(THRESHOLD - 5)), math.log1p(math.exp(1 - THRESHOLD))
    assert float(contrast_loss(features)) == pytest.approx(right + wrong)


def test_goodness_of_half_precision_is_not_rounded_to_it() -> None:
    features = torch.full((1, 4), 1.0625, dtype=torch.bfloat16)
    assert goodness(features).item() == 1.0625**2
    assert goodness(features.double()).dtype == torch.float64


def test_only_the_direction_of_features_goes_on() -> None:
    features = torch.randn(4, 3, 5)
    unit = UnitLength()(features)
    assert torch.allclose(goodness(unit), torch.ones(4), atol=1e-4)
    assert torch.allclose(unit, UnitLength()(7 * features), atol=1e-4)
    assert torch.allclose(unit / unit[:, :1, :1], features / features[:, :1, :1], atol=1e-3)


def test_scores_sum_the_goodness_of_later_blocks_by_hand() -> None:
    """Blocks that multiply by 1, 2 and 3; goodness is the mean square of what comes out."""
    blocks = []
    for factor in (1.0, 2.0, 3.0):
        linear = nn.Linear(2, 2, bias=False)
        nn.init.eye_(linear.weight)
        with torch.no_grad():
            linear.weight.mul_(factor)
        blocks.append(Block(nn.Sequential(linear)))
    inputs = torch.tensor([[0.0, 4.0]])
    first, second, third = class_scores(BlockChain(blocks), inputs, 2)
    # Either label writes 4 at its place and 0 at the other: mean square 8, then 32, then 288.
    assert first.tolist() == [[8.0, 8.0]]
    assert second.tolist() == [[32.0, 32.0]]
    assert third.tolist() == [[32.0 + 288.0] * 2]


def test_a_score_tells_the_class_whose_label_is_answered_strongest() -> None:
    linear = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    (scores,) = class_scores(BlockChain([Block(nn.Sequential(linear))]), torch.ones(1, 3), 3)
    assert scores.tolist() == [[0.5, 2.0, 0.0]]


def test_scores_of_a_sample_do_not_depend_on_its_companions() -> None:
    engine = make_engine(RULE, task=make_task("classification"))
    inputs = make_ages().inputs * torch.linspace(0.1, 5, 12)[:, None]
    together = engine.predict(inputs)
    for row in range(12):
        alone = engine.predict(inputs[row : row + 1])
        for found, expected in zip(alone, together, strict=True):
            assert torch.allclose(found[0], expected[row], rtol=1e-5)


def test_no_block_can_read_the_goodness_of_the_one_before() -> None:
    engine = make_engine(RULE, task=make_task("classification"))
    firsts = [type(next(iter(block.body))) for block in engine.chain]
    assert firsts == [nn.Sequential, UnitLength, UnitLength]
    assert all(block.output is None and block.workers is None for block in engine.chain)


def test_a_step_teaches_every_block_by_its_own_contrast() -> None:
    engine = make_engine(RULE, task=make_task("classification"))
    batch = make_ages()._replace(targets=torch.arange(12) % 4)
    losses = [float(each["loss"]) for each in engine.train_step(batch, 0, 0.1)]
    for step in range(1, 30):
        reports = engine.train_step(batch, step, 0.1)
    assert all(float(new["loss"]) < old for new, old in zip(reports, losses, strict=True))


def test_it_learns_classes_well_above_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = (torch.rand(4, 12, generator=generator) > 0.5).float()
    labels = torch.arange(240) % 4
    inputs = torch.zeros(240, 16)
    inputs[:, 4:] = centres[labels] + 0.1 * torch.randn(240, 12, generator=generator)
    torch.manual_seed(0)
    learner = Learner(
        nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()),
        TaskConfig(name="classification", num_classes=4),
        (16,),
        blocks=BlocksConfig(num_blocks=2),
        objective=RULE,
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )
    learner.fit(inputs[:160], labels[:160], epochs=30)
    found = learner.predict(inputs[160:])
    assert float((found == labels[160:]).float().mean()) > 0.8
