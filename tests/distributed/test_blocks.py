"""Blocks on several ranks give the weights of one device, bit for bit; replicas nearly so."""

import pytest
import torch

from brainage.core.config import ObjectiveConfig
from brainage.core.placement import ParallelConfig
from brainage.core.training_config import EarlyStoppingConfig, EngineConfig, OptimizerConfig
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

EXACT = {
    "plain": Scenario(),
    "accumulated, averaged": Scenario(engine=EngineConfig(micro_batches=2, ema_decay=0.8)),
    "channels last, bfloat16": Scenario(
        engine=EngineConfig(channels_last=True, precision="bfloat16")
    ),
    "memory of epochs": Scenario(
        objective=ObjectiveConfig(leader_fraction=0.5, selection="epoch"),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.05),
    ),
    "one sample, queue of one": Scenario(
        batch_size=1, norm="group", parallel=ParallelConfig(queue_depth=1), epochs=1
    ),
    "similarity": Scenario(objective=ObjectiveConfig(name="predsim"), epochs=1),
    "stopped early": Scenario(
        engine=EngineConfig(ema_decay=0.8),
        stopping=EarlyStoppingConfig(patience=1, min_delta=1000.0),
        epochs=4,
    ),
    "long queue": Scenario(parallel=ParallelConfig(queue_depth=5), epochs=1),
}


@pytest.fixture(scope="module")
def alone() -> dict[str, Trained]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: trained(make_trainer(scenario)) for name, scenario in EXACT.items()}
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[2, 3, 4])
def together(request: pytest.FixtureRequest) -> list[dict[str, Trained]]:
    return run_ranks(request.param, train_all, EXACT)


@pytest.mark.parametrize("name", EXACT)
def test_weights_are_those_of_one_device_bit_for_bit(
    name: str, alone: dict[str, Trained], together: list[dict[str, Trained]]
) -> None:
    for rank in together:
        assert isinstance(rank, dict), rank
        for kind in ("weights", "averaged"):
            expected, got = getattr(alone[name], kind), getattr(rank[name], kind)
            assert got.keys() == expected.keys()
            for key, value in expected.items():
                assert torch.equal(got[key], value), key
        assert comparable(rank[name].history) == comparable(alone[name].history)
