"""The speed table: what is compared with what, and what its numbers are made of."""

import dataclasses
import functools
import os
from collections.abc import Callable

import pytest
import torch
from torch import nn

from brainage.backbones.config import MLPConfig
from brainage.backbones.registry import build_stages
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.measure import activation_bytes, measure_memory
from brainage.core.speed import (
    WARMUP_ROUNDS,
    SpeedCase,
    _row,
    measure_peak,
    measure_speed,
    measure_steps,
)
from brainage.core.timing import StepTimes
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.errors import TrainingError
from tests.core.helpers import make_task

SHAPE = (6,)


def small_stages() -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(4)]


def make_case(
    method: str, build: Callable[[], list[nn.Module]] = small_stages, **changes: object
) -> SpeedCase:
    values: dict[str, object] = {
        "method": method,
        "backbone": "small",
        "build_stages": build,
        "input_shape": SHAPE,
        "batch_size": 5,
        "stage_counts": (1, 2, 1),
        "task": make_task(),
        "heads": HeadConfig(num_lf_workers=2),
        "objective": ObjectiveConfig(name="bp" if method == "bp_checkpointed" else method),
        "optimizer": OptimizerConfig(),
        "engine": EngineConfig(recompute_activations=method == "bp_checkpointed"),
    }
    return SpeedCase(**(values | changes))


def row_of(case: SpeedCase, median: float = 0.2, baseline: float = 0.3) -> dict[str, object]:
    row = _row(case, StepTimes(median, 0.01, 9), 1234, "bp", baseline)
    return dataclasses.asdict(row)


def test_a_row_compares_with_the_baseline() -> None:
    row = row_of(make_case("lfnn_l"))
    assert row["speedup"] == row["efficiency"] == pytest.approx(1.5)
    assert row["samples_per_second"] == pytest.approx(25.0)
    assert (row["step_seconds"], row["step_seconds_iqr"]) == (0.2, 0.01)
    assert (row["baseline"], row["peak_memory_bytes"]) == ("bp", 1234)
    assert (row["blocks"], row["devices"], row["batch_size"]) == (3, 1, 5)
    assert (row["kind"], row["predicted_speedup"]) == ("measured", None)


@pytest.mark.parametrize(
    ("method", "engine"),
    [("bp", "single"), ("lfnn_l", "single"), ("bp_checkpointed", "checkpointed")],
)
def test_a_row_names_its_engine(method: str, engine: str) -> None:
    assert row_of(make_case(method))["engine"] == engine


def test_held_activations_are_the_networks_or_the_largest_blocks() -> None:
    stages = measure_memory(small_stages(), SHAPE, 5)
    blocks = [activation_bytes(part) for part in (stages[:1], stages[1:3], stages[3:])]
    inputs = 5 * 6 * 4
    held = {name: row_of(make_case(name))["activation_bytes"] for name in ("bp", "lfnn_l")}
    held["bp_checkpointed"] = row_of(make_case("bp_checkpointed"))["activation_bytes"]
    assert held["bp"] == activation_bytes(stages)
    assert held["lfnn_l"] == max(blocks)
    assert held["bp_checkpointed"] == 3 * inputs + max(blocks) - inputs
    assert held["lfnn_l"] < held["bp"]


@pytest.mark.parametrize("method", ["bp", "bp_deep_supervision", "lfnn", "lfnn_l", "predsim"])
def test_a_case_builds_its_network_and_noise_again(method: str) -> None:
    case = make_case(method)
    engine, batch = case.build(), case.batch()
    assert batch.inputs.shape == (5, *SHAPE)
    assert torch.equal(batch.inputs, case.batch().inputs)
    assert not torch.equal(batch.inputs, dataclasses.replace(case, seed=1).batch().inputs)
    reports = engine.train_step(batch, 0, 1e-3)
    assert all(torch.isfinite(value) for report in reports for value in report.values())


def test_targets_are_such_as_the_task_can_read() -> None:
    classes = make_case("bp", task=make_task("classification")).batch().targets
    assert not classes.is_floating_point()
    ages = make_case("bp").batch().targets
    assert bool((ages >= 20).all() & (ages <= 70).all())


def test_methods_take_turns_and_warm_up_first() -> None:
    order: list[str] = []

    def watched(name: str) -> Callable[[], list[nn.Module]]:
        def build() -> list[nn.Module]:
            stages = small_stages()
            stages[0].register_forward_hook(
                lambda module, *_: order.append(name) if module.training else None
            )
            return stages

        return build

    cases = [make_case(name, watched(name)) for name in ("bp", "lfnn_l")]
    times = measure_steps(cases, 3)
    assert order == ["bp", "lfnn_l"] * (WARMUP_ROUNDS + 3)
    assert [each.num_steps for each in times] == [3, 3]
    assert all(each.median > 0 for each in times)


@pytest.mark.slow
def test_the_table_measures_memory_of_each_alone_and_sets_the_first_as_baseline() -> None:
    config, shape = MLPConfig(hidden_sizes=(256,) * 12), (16,)
    case = make_case(
        "bp",
        functools.partial(build_stages, config, shape, 0),
        input_shape=shape,
        batch_size=4096,
        stage_counts=(1,) * 12,
        num_threads=torch.get_num_threads(),
    )
    cases = [case, dataclasses.replace(case, method="lfnn_l", objective=ObjectiveConfig())]
    told: list[str] = []
    bp, lfnn_l = measure_speed(cases, rounds=2, report=told.append)
    assert told == ["memory of bp", "memory of lfnn_l", "time of 2 steps each"]
    assert (bp.baseline, lfnn_l.baseline, bp.speedup) == ("bp", "bp", 1.0)
    assert lfnn_l.speedup == pytest.approx(bp.step_seconds / lfnn_l.step_seconds)
    assert lfnn_l.activation_bytes < 0.2 * bp.activation_bytes
    assert 0 < lfnn_l.peak_memory_bytes < 0.9 * bp.peak_memory_bytes


def test_a_case_that_does_not_fit_into_memory_is_named() -> None:
    """The system kills such a process; this one ends itself as abruptly."""
    case = make_case("bp", functools.partial(os._exit, 9))
    with pytest.raises(TrainingError, match="bp: the process was killed, probably for lack"):
        measure_peak(case)


def test_timed_steps_do_not_learn_their_batch_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[SingleDeviceEngine, list[torch.Tensor]]] = []

    def remembered(case: SpeedCase) -> SingleDeviceEngine:
        engine = build(case)
        built.append((engine, [weight.detach().clone() for weight in engine.chain.parameters()]))
        return engine

    build = SpeedCase.build
    monkeypatch.setattr(SpeedCase, "build", remembered)
    measure_steps([make_case("bp"), make_case("lfnn_l")], 4)
    assert len(built) == 2
    for engine, before in built:
        for now, then in zip(engine.chain.parameters(), before, strict=True):
            assert torch.equal(now, then)
