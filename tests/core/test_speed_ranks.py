"""Methods of several ranks are timed side by side, and each trains what it says."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from brainage.core.config import HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.placement import ParallelConfig, Placement
from brainage.core.random import random_stream
from brainage.core.ranks import Alone
from brainage.core.speed import SpeedCase
from brainage.core.speed_ranks import RankCase, _Runner, measure_rank_cases
from brainage.core.tasks import fit_task
from brainage.core.training_config import EngineConfig, OptimizerConfig
from tests.core.pipelined import weights_after_steps
from tests.distributed.processes import run_ranks

pytestmark = pytest.mark.distributed

SHAPE = (1, 6, 6, 6)


def small_stages() -> list[nn.Module]:
    with random_stream(3):
        return [
            nn.Sequential(nn.Conv3d(1 if k == 0 else 4, 4, 3, padding=1), nn.ReLU())
            for k in range(2)
        ]


def speed_case(rule: str) -> SpeedCase:
    return SpeedCase(
        method=rule,
        backbone="small",
        build_stages=small_stages,
        input_shape=SHAPE,
        batch_size=4,
        stage_counts=(1, 1),
        task=fit_task(TaskConfig(), torch.tensor([20.0, 60.0])),
        heads=HeadConfig(num_lf_workers=2, pooled_size=1),
        objective=ObjectiveConfig(name=rule),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.01),
        engine=EngineConfig(),
        num_threads=1,
    )


def rank_case(rule: str, how: str, num_micro_batches: int = 1) -> RankCase:
    return RankCase(
        case=speed_case(rule),
        how=how,
        world_size=2,
        placement=Placement((1, 1), (1, 1)),
        parallel=ParallelConfig(engine="ddp" if how == "ddp" else "blocks"),
        num_micro_batches=num_micro_batches,
    )


@pytest.mark.parametrize("num_micro_batches", [1, 4])
def test_the_pipeline_trains_as_back_propagation_on_one_device(num_micro_batches: int) -> None:
    """1F1B and, with fewer micro-batches than stages, GPipe's order: the same gradients."""
    case = rank_case("bp", "pipeline_1f1b", num_micro_batches)
    of_ranks = run_ranks(2, weights_after_steps, case, 3)
    alone_case = replace(case, how="single")
    (alone,) = run_ranks(1, weights_after_steps, alone_case, 3)
    together = {name: value for rank in of_ranks for name, value in rank.items()}
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-5, atol=1e-6)


def test_timed_steps_leave_the_weights_as_they_are() -> None:
    runner = _Runner(replace(rank_case("lfnn_l", "single"), world_size=1), Alone())
    assert runner.engine is not None
    before = [weight.detach().clone() for weight in runner.engine.chain.parameters()]
    runner.run(0, 2)
    for now, then in zip(runner.engine.chain.parameters(), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.slow
def test_every_method_is_timed_in_every_round() -> None:
    hows = ["single", "threads", "independent", "ddp", "blocks", "pipeline_1f1b"]
    cases = [rank_case("lfnn_l" if how == "blocks" else "bp", how) for how in hows]
    times = measure_rank_cases(cases, rounds=2, steps=2, memory=False)
    assert [len(each.seconds) for each in times] == [2] * len(hows)
    assert all(second > 0 for each in times for second in each.seconds)
