"""A run goes on with another number of devices, and ends where an uninterrupted one does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brainage.core.placement import ParallelConfig
from brainage.core.ranks import Alone
from brainage.core.training_config import EarlyStoppingConfig, EngineConfig
from tests.distributed.processes import run_ranks
from tests.distributed.scenarios import (
    Scenario,
    make_trainer,
    resume,
    train_until_killed,
    train_with_full_disk,
    trained,
)

pytestmark = pytest.mark.distributed

SCENARIO = Scenario(
    engine=EngineConfig(ema_decay=0.8),
    every_steps=1,
    parallel=ParallelConfig(timeout_seconds=60),
)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 2), (2, 1)])
def test_resumed_on_other_devices_equals_uninterrupted(
    before: int, after: int, tmp_path: Path
) -> None:
    def on(world_size: int, function, *arguments):  # type: ignore[no-untyped-def]
        if world_size == 1:
            return [function(Alone(), *arguments)]
        return run_ranks(world_size, function, *arguments)

    assert set(on(before, train_until_killed, SCENARIO, tmp_path)) == {"Killed"}
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007"]
    whole = trained(make_trainer(SCENARIO))
    for rank in on(after, resume, SCENARIO, tmp_path):
        for kind in ("weights", "averaged"):
            expected, got = getattr(whole, kind), getattr(rank, kind)
            assert got.keys() == expected.keys()
            assert all(torch.equal(got[key], value) for key, value in expected.items())
        assert [h["train/loss"] for h in rank.history] == pytest.approx(
            [h["train/loss"] for h in whole.history], rel=1e-6
        )


def test_the_best_epoch_s_weights_travel_with_a_checkpoint(tmp_path: Path) -> None:
    scenario = replace(
        SCENARIO, epochs=6, stopping=EarlyStoppingConfig(patience=2, min_delta=1000.0)
    )
    assert set(run_ranks(2, train_until_killed, scenario, tmp_path)) == {"Killed"}
    first = trained(make_trainer(replace(SCENARIO, epochs=6), stop_after=1))
    for rank in run_ranks(3, resume, scenario, tmp_path):
        assert len(rank.history) == 3
        for kind in ("weights", "averaged"):
            expected, got = getattr(first, kind), getattr(rank, kind)
            assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_a_full_disk_of_one_rank_leaves_the_previous_checkpoint_whole(tmp_path: Path) -> None:
    told = run_ranks(2, train_with_full_disk, SCENARIO, tmp_path, timeout_seconds=5)
    assert all("No space left on device" in each for each in told), told
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    whole = trained(make_trainer(SCENARIO))
    resumed = resume(Alone(), SCENARIO, tmp_path)
    assert all(torch.equal(resumed.weights[key], whole.weights[key]) for key in whole.weights)
