import copy

import pytest
import torch

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizer, build_optimizers
from brainage.core.random import random_stream
from brainage.core.training_config import OptimizerConfig
from tests.core.helpers import (
    INPUT_SHAPE,
    make_ages,
    make_engine,
    make_stages,
    make_task,
    same_weights,
    weights,
)

RULES = ["bp", "bp_deep_supervision", "lfnn", "lfnn_l"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("task_name", ["regression", "soft_bins"])
def test_one_block_led_by_all_is_plain_backpropagation_to_the_last_bit(
    optimizer: str, task_name: str
) -> None:
    settings = OptimizerConfig(name=optimizer)
    engine = make_engine(
        ObjectiveConfig(name="lfnn_l", leader_fraction=1.0),
        stage_counts=(3,),
        heads=HeadConfig(output_block_workers=False),
        optimizer=settings,
        task=make_task(task_name),
        dropout=0.3,
    )
    network = copy.deepcopy(engine.chain)
    plain = build_optimizer(network, settings)
    for step in range(5):
        inputs, ages = make_ages(seed=step)
        engine.train_step((inputs, ages), step, settings.learning_rate)
        plain.zero_grad()
        with random_stream(engine.seed, "step", step, 0):
            outputs = network(inputs)
        engine.objective.task.prediction_loss(outputs, ages).mean().backward()
        plain.step()
    assert same_weights(weights(engine.chain), weights(network))


def test_bp_in_blocks_is_plain_backpropagation_to_the_last_bit() -> None:
    cut = make_engine(ObjectiveConfig(name="bp"))
    whole = make_engine(ObjectiveConfig(name="bp"), stage_counts=(3,))
    whole.chain.blocks[-1].output.load_state_dict(cut.chain.blocks[-1].output.state_dict())
    for step in range(4):
        for engine in (cut, whole):
            engine.train_step(make_ages(seed=step), step, 0.05)
    assert torch.equal(cut.chain(make_ages().inputs), whole.chain(make_ages().inputs))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_every_parameter_moves(name: str, fraction: float) -> None:
    engine = make_engine(
        ObjectiveConfig(name=name, leader_fraction=fraction), optimizer=OptimizerConfig()
    )
    before = weights(engine.chain)
    for step in range(3):
        engine.train_step(make_ages(seed=step), step, 0.01)
    after = weights(engine.chain)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_deep_supervision_differentiates_the_sum_of_all_heads() -> None:
    engine = make_engine(
        ObjectiveConfig(name="bp_deep_supervision", deep_supervision_weight=0.5),
        optimizer=OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0),
    )
    network = copy.deepcopy(engine.chain)
    batch = make_ages()
    engine.train_step(batch, 0, 0.1)
    task = engine.objective.task
    heads = [out.prediction_BC for out in network.all_outputs(batch.inputs)]
    losses = [task.prediction_loss(head, batch.targets).mean() for head in heads]
    (losses[2] + 0.5 * losses[0] + 0.5 * losses[1]).backward()
    for trained, parameter in zip(engine.chain.parameters(), network.parameters(), strict=True):
        assert torch.allclose(trained, parameter - 0.1 * parameter.grad, atol=1e-6)


def test_lfnn_adds_local_gradients_of_the_own_block_to_the_global_one() -> None:
    config = ObjectiveConfig(name="lfnn", leader_fraction=0.5)
    engine = make_engine(
        config, optimizer=OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0)
    )
    network = copy.deepcopy(engine.chain)
    batch = make_ages()
    engine.train_step(batch, 0, 0.1)
    expected = [torch.zeros_like(p) for p in network.parameters()]
    names = [name for name, _ in network.named_parameters()]
    outputs = network.all_outputs(batch.inputs)
    for index, output in enumerate(outputs):
        loss = engine.objective.block_loss(index, output, batch.targets)
        for scope, value in (("own", loss.own), ("shared", loss.shared)):
            if value is None:
                continue
            found = torch.autograd.grad(
                value, list(network.parameters()), retain_graph=True, allow_unused=True
            )
            for position, gradient in enumerate(found):
                inside = names[position].startswith(f"blocks.{index}.")
                if gradient is not None and (scope == "shared" or inside):
                    expected[position] += gradient
    for trained, old, gradient in zip(
        engine.chain.parameters(), network.parameters(), expected, strict=True
    ):
        assert torch.allclose(trained, old - 0.1 * gradient, atol=1e-6)


def test_a_probe_does_not_change_what_its_block_learns() -> None:
    results = []
    for hidden_outputs in (True, False):
        task = make_task()
        config = ObjectiveConfig(name="lfnn_l", leader_fraction=0.5)
        rule = Objective(config, task, 3)
        heads = HeadConfig(probe_hidden_blocks=hidden_outputs)
        chain = build_chain(make_stages(), (1, 1, 1), INPUT_SHAPE, task, config, heads=heads)
        for index, block in enumerate(chain):
            with random_stream("workers", index), torch.no_grad():
                block.workers.linear.weight.normal_(std=0.3)
        with random_stream("output"), torch.no_grad():
            chain.blocks[-1].output.layers[-1].weight.normal_(std=0.3)
        engine = SingleDeviceEngine(
            chain, rule, build_optimizers(chain, OptimizerConfig(name="sgd")),
            device=torch.device("cpu"), seed=0,
        )  # fmt: skip
        for step in range(3):
            engine.train_step(make_ages(seed=step), step, 0.05)
        results.append({k: v for k, v in weights(chain).items() if ".body." in k})
    assert same_weights(*results)


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    results = []
    for draws in (0, 7):
        engine = make_engine(ObjectiveConfig(leader_fraction=0.5), dropout=0.5)
        for step in range(3):
            torch.rand(draws)
            engine.train_step(make_ages(seed=step), step, 0.05)
        results.append(weights(engine.chain))
    assert same_weights(*results)


def test_dropout_differs_between_steps_and_blocks() -> None:
    engine = make_engine(ObjectiveConfig(name="lfnn_l"), dropout=0.5)
    ones = torch.ones(1, 64)
    dropout = torch.nn.Dropout(0.5)
    patterns = set()
    for step, block in ((0, 0), (0, 1), (1, 0)):
        with random_stream(engine.seed, "step", step, block):
            patterns.add(tuple(dropout(ones)[0].tolist()))
    assert len(patterns) == 3


def test_the_callers_random_state_is_left_alone() -> None:
    engine = make_engine(ObjectiveConfig(), dropout=0.5)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    engine.train_step(make_ages(), 0, 0.05)
    assert torch.equal(torch.rand(3), expected)


def test_clipping_bounds_each_block_of_an_isolated_rule() -> None:
    engine = make_engine(
        ObjectiveConfig(name="lfnn_l"),
        optimizer=OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0),
    )
    engine.clip_norm = 1e-3
    before = weights(engine.chain)
    engine.train_step(make_ages(), 0, 1.0)
    after = weights(engine.chain)
    for index in range(3):
        moved = [(after[n] - before[n]).norm() for n in before if n.startswith(f"blocks.{index}.")]
        assert 0 < float(torch.stack(moved).norm()) <= 1.01e-3
