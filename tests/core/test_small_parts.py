"""Partition, learning rate, seeds and clock."""

from itertools import pairwise

import pytest

from brainage.core.config import BlocksConfig
from brainage.core.metrics import check_metric_name
from brainage.core.optim import learning_rate_at
from brainage.core.partition import stage_counts
from brainage.core.random import derive_seed
from brainage.core.timing import summarise_steps
from brainage.core.training_config import ScheduleConfig


@pytest.mark.parametrize(
    ("num_stages", "config", "expected"),
    [
        (6, BlocksConfig(num_blocks=4), [2, 2, 1, 1]),
        (4, BlocksConfig(num_blocks=1), [4]),
        (6, BlocksConfig(num_blocks=3, cuts=(1, 2)), [1, 1, 4]),
    ],
)
def test_stages_are_shared_among_blocks(
    num_stages: int, config: BlocksConfig, expected: list[int]
) -> None:
    assert stage_counts(num_stages, config) == expected


@pytest.mark.parametrize(
    "config", [BlocksConfig(num_blocks=5), BlocksConfig(num_blocks=2, cuts=(4,))]
)
def test_more_blocks_than_stages_are_refused(config: BlocksConfig) -> None:
    with pytest.raises(ValueError, match=r"blocks\.(num_blocks|cuts)"):
        stage_counts(4, config)


@pytest.mark.parametrize("cuts", [(0,), (2, 1), (1, 1), (1, 2, 3)])
def test_cuts_that_make_no_blocks_are_refused(cuts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cuts"):
        BlocksConfig(num_blocks=len(cuts) + (len(cuts) != 3), cuts=cuts)


def test_learning_rate_warms_up_then_falls_to_its_end() -> None:
    schedule = ScheduleConfig(warmup_fraction=0.1, final_fraction=0.01)
    rates = [learning_rate_at(step, 100, schedule, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9] == pytest.approx(0.5)
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.005)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_seeds_differ_by_every_part() -> None:
    seeds = {derive_seed(*parts) for parts in ((0,), (0, 0), (0, "a"), ("a", 0), (1,), ("0",))}
    assert len(seeds) == 6
    assert derive_seed(3, "step", 1) == derive_seed(3, "step", 1)


def test_step_median_leaves_out_the_warm_up() -> None:
    times = summarise_steps([9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert times is not None
    assert times.median == 3.0
    assert times.num_steps == 5
    assert summarise_steps([1.0, 1.0, 1.0, 1.0]) is None


@pytest.mark.parametrize("name", ["train/los", "val/block0x/loss", "speed/steps", "loss"])
def test_unknown_metric_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown metric"):
        check_metric_name(name)
