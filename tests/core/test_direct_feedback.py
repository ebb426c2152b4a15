"""Direct feedback alignment: each hidden block gets the network's error, projected, and no more."""

import copy
import math

import pytest
import torch
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.direct_feedback import FeedbackProjection
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.training_config import OptimizerConfig
from tests.core.helpers import make_ages, make_engine, make_task, weights

RULE = ObjectiveConfig(name="direct_feedback_alignment")
PLAIN_SGD = OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0)


def test_a_vector_gets_the_published_dense_matrix() -> None:
    projection = FeedbackProjection(4, (7,))
    error = torch.randn(3, 4)
    assert torch.equal(projection(error, torch.zeros(3, 7)), error @ projection.weight_CU)
    assert float(projection.weight_CU.abs().max()) <= 1 / math.sqrt(4)


def test_small_maps_have_a_weight_for_every_unit() -> None:
    projection = FeedbackProjection(2, (3, 4, 5))
    error, features = torch.randn(2, 2), torch.zeros(2, 3, 4, 5)
    expected = (error @ projection.weight_CU).reshape(2, 3, 4, 5)
    assert torch.equal(projection(error, features), expected)


def test_neighbours_in_large_maps_share_weights() -> None:
    projection = FeedbackProjection(2, (3, 16, 4, 24))
    assert projection.weight_CU.shape == (2, 3 * 8 * 4 * 8)
    gradient = projection(torch.randn(2, 2), torch.zeros(2, 3, 16, 4, 24))
    assert gradient.shape == (2, 3, 16, 4, 24)
    assert torch.equal(gradient[:, :, 0::2], gradient[:, :, 1::2])
    assert torch.equal(gradient[..., 0::3], gradient[..., 2::3])
    assert not torch.equal(gradient[..., 0:3], gradient[..., 3:6])


def test_every_hidden_block_receives_exactly_the_projected_error() -> None:
    engine = make_engine(RULE, optimizer=PLAIN_SGD)
    network = copy.deepcopy(engine.chain)
    batch = make_ages()
    engine.train_step(batch, 0, 0.1)
    inputs, outputs = batch.inputs, []
    for block in network:
        outputs.append(block(inputs))
        inputs = outputs[-1].features.detach()
    prediction = outputs[-1].prediction_BC
    loss = engine.objective.task.prediction_loss(prediction, batch.targets).mean()
    (error,) = torch.autograd.grad(loss, prediction, retain_graph=True)
    for index, (block, trained) in enumerate(zip(network, engine.chain, strict=True)):
        parameters = list(block.body.parameters())
        if index < 2:
            projected = error @ block.feedback.weight_CU
            gradients = torch.autograd.grad(outputs[index].features, parameters, projected)
        else:
            gradients = torch.autograd.grad(loss, parameters)
        for new, old, gradient in zip(
            trained.body.parameters(), parameters, gradients, strict=True
        ):
            assert torch.allclose(new, old - 0.1 * gradient, atol=1e-6)


def test_an_error_of_zero_teaches_hidden_blocks_nothing() -> None:
    """No gradient crosses a block: with the projections at zero, only the output block learns."""
    engine = make_engine(RULE, optimizer=PLAIN_SGD, heads=HeadConfig(probe_hidden_blocks=False))
    for block in list(engine.chain)[:2]:
        block.feedback.weight_CU.zero_()
    before = weights(engine.chain)
    engine.train_step(make_ages(), 0, 0.1)
    after = weights(engine.chain)
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"2"}


def test_hidden_probes_learn_and_do_not_change_what_blocks_learn() -> None:
    results = []
    for probes in (True, False):
        engine = make_engine(RULE, heads=HeadConfig(probe_hidden_blocks=probes))
        for each, block in enumerate(engine.chain):
            if block.feedback is not None:
                generator = torch.Generator().manual_seed(each)
                block.feedback.weight_CU.copy_(
                    torch.randn(block.feedback.weight_CU.shape, generator=generator)
                )
        output = list(engine.chain)[-1].output.layers[-1]
        torch.nn.init.constant_(output.weight, 0.1)
        for step in range(2):
            engine.train_step(make_ages(seed=step), step, 0.05)
        results.append([p for block in engine.chain for p in block.body.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_projections_are_fixed_and_differ_between_blocks() -> None:
    engine = make_engine(RULE)
    before = [block.feedback.weight_CU.clone() for block in list(engine.chain)[:2]]
    engine.train_step(make_ages(), 0, 0.1)
    for kept, block in zip(before, engine.chain, strict=False):
        assert torch.equal(kept, block.feedback.weight_CU)
    assert not torch.equal(*before)
    assert list(engine.chain)[-1].feedback is None
    assert "feedback.weight_CU" not in dict(engine.chain.named_parameters())


def engine_of(stages: list[nn.Module], rule: str) -> SingleDeviceEngine:
    objective, task = ObjectiveConfig(name=rule), make_task("classification")
    chain = build_chain(stages, [1] * len(stages), (5,), task, objective)
    return SingleDeviceEngine(
        chain,
        Objective(objective, task, len(stages)),
        build_optimizers(chain, OptimizerConfig()),
        device=torch.device("cpu"),
        seed=0,
    )


@pytest.mark.parametrize(
    "rule", ["bp", "feedback_alignment", "direct_feedback_alignment", "forward_forward", "lfnn_l"]
)
def test_a_block_that_has_no_parameter_is_passed_through(rule: str) -> None:
    """A cut in front of or behind an activation is no reason to fail."""
    stages = [nn.Flatten(), nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8)]
    engine = engine_of(stages, rule)
    batch = make_ages()._replace(targets=torch.arange(12) % 4)
    before = [stages[1].weight.clone(), stages[3].weight.clone()]
    engine.train_step(batch, 0, 0.1)
    assert not torch.equal(before[0], stages[1].weight)
    assert not torch.equal(before[1], stages[3].weight)
