"""Greedy training: one block after the other, earlier ones frozen, each by a whole schedule."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from brainage.core.config import BlocksConfig, ObjectiveConfig, TaskConfig
from brainage.core.learner import Learner
from brainage.core.optim import learning_rate_at
from brainage.core.trainer import Trainer
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.core.types import Batch
from tests.core.convolutional import make_convolutional, volumes
from tests.core.helpers import Batches, ListRecorder, make_ages, make_engine, weights

GREEDY = ObjectiveConfig(name="greedy")
EPOCHS = 2
SCHEDULE = ScheduleConfig(warmup_fraction=0.3, final_fraction=0.1)


class Watching(Batches):
    """Keeps the weights as they are before every epoch."""

    def __init__(self, chain: nn.Module) -> None:
        super().__init__(make_ages(8), 4)
        self.chain = chain
        self.before: list[dict[str, torch.Tensor]] = []

    def batches(self, epoch: int, **options: Any) -> Iterator[Batch]:
        self.before.append(weights(self.chain))
        return super().batches(epoch, **options)


def trained(
    config: EngineConfig | None = None,
) -> tuple[Trainer, list[dict[str, torch.Tensor]]]:
    """The trainer after its phases, and the weights around every epoch."""
    engine = make_engine(GREEDY, optimizer=OptimizerConfig(name="adamw"), config=config)
    source = Watching(engine.chain)
    trainer = Trainer(
        engine,
        source,
        Batches(make_ages(5, seed=9), 5, shuffle=False),
        config=TrainerConfig(epochs=EPOCHS, batch_size=4),
        optimizer=OptimizerConfig(learning_rate=0.01),
        schedule=SCHEDULE,
        recorder=ListRecorder(),
    )
    trainer.fit()
    return trainer, [*source.before, weights(engine.chain)]


def moved_blocks(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("config", [None, EngineConfig(micro_batches=2)], ids=["plain", "micro"])
def test_only_the_active_block_moves_in_each_phase(config: EngineConfig | None) -> None:
    trainer, states = trained(config)
    assert trainer.num_epochs == 3 * EPOCHS == len(states) - 1
    moved = [moved_blocks(a, b) for a, b in itertools.pairwise(states)]
    assert moved == [{"0"}, {"0"}, {"1"}, {"1"}, {"2"}, {"2"}]


def test_all_of_the_active_block_moves() -> None:
    _, states = trained()
    for block in range(3):
        before, after = states[block * EPOCHS], states[(block + 1) * EPOCHS]
        still = [
            name
            for name in before
            if name.startswith(f"blocks.{block}.") and torch.equal(before[name], after[name])
        ]
        assert still == []


def test_every_phase_runs_the_whole_schedule() -> None:
    trainer, _ = trained()
    rates = [entry["train/learning_rate"] for entry in trainer.result.history]
    num_steps = EPOCHS * 2
    expected = [learning_rate_at(step, num_steps, SCHEDULE, 0.01) for step in (1, 3)]
    assert rates == pytest.approx(expected * 3)


def test_each_epoch_reports_the_block_that_trained() -> None:
    trainer, _ = trained()
    for epoch, entry in enumerate(trainer.result.history):
        losses = {name for name in entry if name.startswith("train/block")}
        assert {name.split("/")[1] for name in losses} == {f"block{epoch // EPOCHS + 1}"}
        assert entry["train/loss"] == entry[f"train/block{epoch // EPOCHS + 1}/output_loss"]
        assert {f"val/block{k}/mae_years" for k in (1, 2, 3)} <= set(entry)


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 7, 12, 49])
@pytest.mark.parametrize("steps_in_phase", [1, 3, 10, 49])
def test_phases_begin_at_their_step_whatever_rounding_does(
    num_blocks: int, steps_in_phase: int
) -> None:
    engine = make_engine(GREEDY, stage_counts=(3,))
    engine.chain.blocks = nn.ModuleList([engine.chain.blocks[0]] * num_blocks)
    total = num_blocks * steps_in_phase
    active = []
    for step in range(total):
        (_, moment), *_ = engine._parts(make_ages(), step, step / total)
        active.append(engine._active_block(moment))
    assert active == [block for block in range(num_blocks) for _ in range(steps_in_phase)]


def test_frozen_blocks_give_the_features_they_predict_with() -> None:
    """No dropout, no new batch statistics: the next block learns on what it will see."""
    engine = make_convolutional("greedy", norm="batch", dropout=0.5)
    seen = []
    engine.chain.blocks[1].body.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    engine.train_step(volumes(), 0, 0.05, progress=0.0)
    assert seen == [], "later blocks do not run before their turn"
    statistics = weights(engine.chain.blocks[0])
    engine.train_step(volumes(), 1, 0.05, progress=0.5)
    expected = engine.chain.blocks[0].eval().body(volumes().inputs)
    assert torch.equal(seen[0], expected)
    assert not seen[0].requires_grad
    after = weights(engine.chain.blocks[0])
    assert all(torch.equal(statistics[name], after[name]) for name in statistics)


def test_it_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(120, 5, generator=generator)
    ages = 45 + 10 * inputs[:, 0]
    torch.manual_seed(0)
    learner = Learner(
        [nn.Sequential(nn.Linear(5, 16), nn.ReLU()), nn.Sequential(nn.Linear(16, 16), nn.ReLU())],
        TaskConfig(name="regression"),
        (5,),
        blocks=BlocksConfig(num_blocks=2),
        objective=GREEDY,
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )
    result = learner.fit(inputs, ages, epochs=15)
    assert len(result.history) == 30
    by_block = learner.predict_by_block(inputs)
    chance = float((ages - ages.mean()).abs().mean())
    for predictions in by_block.values():
        assert float((predictions - ages).abs().mean()) < 0.3 * chance
