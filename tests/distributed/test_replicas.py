"""Ranks that share the samples of a batch: the weights of one device but for rounding."""

from dataclasses import replace

import pytest
import torch

from brainage.core.config import ObjectiveConfig
from brainage.core.placement import ParallelConfig
from brainage.core.training_config import EngineConfig
from tests.distributed.processes import run_ranks
from tests.distributed.scenarios import (
    Scenario,
    Trained,
    comparable,
    make_trainer,
    train_all,
    trained,
)

pytestmark = pytest.mark.distributed

TOLERANCE = 2e-5
"""Largest difference of a weight, relative to one: sums of gradients are rounded in another order
and Adam's first steps magnify that."""

BLOCKS = ParallelConfig(blocks_per_place=(1, 3), replicas=(2, 1))
DDP = ParallelConfig(engine="ddp")


def scenario(name: str, parallel: ParallelConfig, **changes: object) -> Scenario:
    objective = ObjectiveConfig(name=name, leader_fraction=0.5)
    # Dropout differs between replicas, statistics of a batch would too.
    return replace(
        Scenario(objective=objective, parallel=parallel, dropout=0.0, norm="sample", batch_size=4),
        **changes,
    )


NEARLY = {
    "two replicas, then one": scenario("lfnn_l", BLOCKS),
    "one, then two replicas": scenario(
        "lfnn_l", ParallelConfig(blocks_per_place=(2, 2), replicas=(1, 2))
    ),
    "accumulated": scenario("lfnn_l", BLOCKS, engine=EngineConfig(micro_batches=2, ema_decay=0.9)),
    "fewer samples than replicas": scenario("lfnn_l", BLOCKS, batch_size=1, epochs=1),
    "channels innermost": scenario("lfnn_l", BLOCKS, engine=EngineConfig(channels_last=True)),
    "bp": scenario("bp", DDP),
    "bp, channels innermost": scenario("bp", DDP, engine=EngineConfig(channels_last=True)),
    "bp, accumulated": scenario("bp", DDP, engine=EngineConfig(micro_batches=3)),
    "bp, fewer samples than ranks": scenario("bp", DDP, batch_size=1, epochs=1),
    "lfnn": scenario("lfnn", DDP),
    "lfnn_l": scenario("lfnn_l", DDP),
    "deep supervision": scenario("bp_deep_supervision", DDP),
    "greedy": scenario("greedy", DDP, epochs=1),
    "direct feedback": scenario("direct_feedback_alignment", DDP),
    "feedback alignment": scenario("feedback_alignment", DDP),
}


@pytest.fixture(scope="module")
def alone() -> dict[str, Trained]:
    return {name: trained(make_trainer(each)) for name, each in NEARLY.items()}


@pytest.fixture(scope="module")
def together() -> list[dict[str, Trained]]:
    return run_ranks(3, train_all, NEARLY)


@pytest.mark.parametrize("name", NEARLY)
def test_weights_are_nearly_those_of_one_device(
    name: str, alone: dict[str, Trained], together: list[dict[str, Trained]]
) -> None:
    for rank in together:
        assert isinstance(rank, dict), rank
        for kind in ("weights", "averaged"):
            expected, got = getattr(alone[name], kind), getattr(rank[name], kind)
            assert got.keys() == expected.keys()
            for key, value in expected.items():
                torch.testing.assert_close(got[key], value, rtol=TOLERANCE, atol=TOLERANCE)
        histories = (comparable(each[name].history) for each in (alone, rank))
        for mine, theirs in zip(*histories, strict=True):
            assert theirs == pytest.approx(mine, rel=1e-3)


def test_replicas_of_a_rank_have_the_same_weights(together: list[dict[str, Trained]]) -> None:
    for name in NEARLY:
        first, *others = [rank[name].weights for rank in together]
        assert all(torch.equal(first[key], other[key]) for other in others for key in first)
