"""Measured costs: what they hold for a network whose costs are known to differ."""

import dataclasses
import functools

import pytest
import torch
from torch import nn

from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.plan.measuring import measure_costs, state_bytes
from brainage.core.speed import SpeedCase
from brainage.core.training_config import EngineConfig, OptimizerConfig
from tests.core.helpers import make_task


def wide_second(norm: bool = False) -> list[nn.Module]:
    """A cheap stage, one that costs much more, and a cheap one."""
    wide = [nn.Linear(64, 1024), nn.Tanh(), nn.Linear(1024, 1024), nn.Tanh(), nn.Linear(1024, 64)]
    first: list[nn.Module] = [nn.Linear(6, 64)]
    return [nn.Sequential(*first, *([nn.BatchNorm1d(64)] if norm else [])),
            nn.Sequential(*wide), nn.Sequential(nn.Linear(64, 8), nn.Tanh())]  # fmt: skip


def make_case(**changes) -> SpeedCase:
    values = {
        "method": "lfnn_l",
        "backbone": "made up",
        "build_stages": wide_second,
        "input_shape": (6,),
        "batch_size": 64,
        "stage_counts": (3,),
        "task": make_task(),
        "heads": HeadConfig(num_lf_workers=2),
        "objective": ObjectiveConfig(leader_fraction=0.5),
        "optimizer": OptimizerConfig(),
        "engine": EngineConfig(),
        "num_threads": 1,
    }
    return SpeedCase(**(values | changes))


@pytest.fixture(scope="module")
def costs():
    return measure_costs(make_case(), rounds=5, seconds=0)


def test_the_costly_stage_costs_most(costs):
    first, wide, last = costs.stages
    for cheap in (first, last):
        assert wide.forward.at(64) > 3 * cheap.forward.at(64)
        assert wide.backward.at(64) > 3 * cheap.backward.at(64)
        assert wide.update > 3 * cheap.update


def test_parameters_and_bytes_are_those_of_the_modules(costs):
    counts = [sum(p.numel() for p in each.parameters()) for each in wide_second()]
    assert [stage.memory.num_parameters for stage in costs.stages] == counts
    assert [stage.memory.output_bytes for stage in costs.stages] == [
        64 * 4 * n for n in (64, 64, 8)
    ]
    outputs = make_task().output_size
    workers = 2 * outputs
    assert costs.heads[0].memory.num_parameters == (64 + 1) * (workers + outputs)
    assert costs.output.memory.num_parameters == (8 + 1) * outputs


def test_a_first_stage_has_no_gradient_to_pass_on(costs):
    assert costs.stages[0].backward == costs.stages[0].backward_as_first


def test_heads_take_time(costs):
    for head in (*costs.heads, costs.output):
        assert min(head.forward.at(64), head.backward.at(64), head.update) > 0


def test_weights_stay_and_threads_come_back():
    stages = wide_second()
    before = [p.clone() for stage in stages for p in stage.parameters()]
    threads = torch.get_num_threads()
    measure_costs(make_case(build_stages=lambda: stages, batch_size=2), rounds=1, seconds=0)
    after = [p for stage in stages for p in stage.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.get_num_threads() == threads


def test_where_one_sample_cannot_pass_a_share_of_the_batch_stands_for_it():
    case = make_case(build_stages=functools.partial(wide_second, norm=True), batch_size=4)
    stage = measure_costs(case, rounds=1, seconds=0).stages[0]
    assert stage.forward.fixed == pytest.approx(0, abs=1e-12)
    assert stage.forward.at(4) > 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"name": "adamw"}, 8), ({"name": "sgd"}, 4), ({"name": "sgd", "momentum": 0.0}, 0)],
)
def test_the_optimizer_s_state_is_what_torch_keeps(settings, expected):
    config = OptimizerConfig(**settings)
    assert state_bytes(config) == expected
    case = dataclasses.replace(make_case(), optimizer=config)
    engine = case.build()
    engine.train_step(case.batch(), 0, 0.01)
    (optimizer,) = engine.optimizers
    kept = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if torch.is_tensor(value) and value.numel() > 1
    ]
    trained = sum(p.numel() for p in engine.chain.parameters() if p.numel() > 1)
    assert sum(each.nbytes for each in kept) == expected * trained
