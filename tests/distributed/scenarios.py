"""Short trainings that a single device and several ranks run alike."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.filesystem import FileSystemWriter

from brainage.core.build import build_chain
from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engines import build_engine
from brainage.core.objectives import Objective
from brainage.core.placement import ParallelConfig
from brainage.core.random import random_stream
from brainage.core.ranks import ProcessRanks, Ranks
from brainage.core.trainer import Trainer
from brainage.core.training_config import (
    EarlyStoppingConfig,
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.core.types import Batch
from brainage.errors import CheckpointError
from tests.core.helpers import Batches, KilledIn, ListRecorder, make_task

CPU = torch.device("cpu")
SHAPE = (1, 6, 8, 6)
NUM_BLOCKS = 4
OPTIMIZER = OptimizerConfig(learning_rate=0.01, clip_norm=0.5)


@dataclass(frozen=True)
class Scenario:
    """One short training.

    ``norm``: statistics of a batch, which replicas cannot share, or of each sample.
    """

    objective: ObjectiveConfig = field(
        default_factory=lambda: ObjectiveConfig(leader_fraction=0.5, selection="batch")
    )
    engine: EngineConfig = field(default_factory=EngineConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    optimizer: OptimizerConfig = OPTIMIZER
    batch_size: int = 3
    epochs: int = 2
    dropout: float = 0.3
    norm: str = "batch"
    every_steps: int | None = None
    stopping: EarlyStoppingConfig | None = None


def stages(scenario: Scenario) -> list[nn.Module]:
    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm3d(channels) if scenario.norm == "batch" else nn.GroupNorm(2, channels)

    with random_stream(7):
        return [
            nn.Sequential(
                nn.Conv3d(1 if index == 0 else 4, 4, 3, padding=1),
                norm(4),
                nn.ReLU(inplace=True),
                nn.Dropout(scenario.dropout),
            )
            for index in range(NUM_BLOCKS)
        ]


def data(num_samples: int = 10, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ages = 20 + 50 * torch.rand(num_samples, generator=generator)
    return Batch(torch.randn(num_samples, *SHAPE, generator=generator), ages)


def make_engine(scenario: Scenario, ranks: Ranks | None = None) -> SingleDeviceEngine:
    """The engine of this rank; that of a single device without ranks."""
    task = make_task()
    heads = HeadConfig(num_lf_workers=4, pooled_size=2, dropout=scenario.dropout)
    chain = build_chain(
        stages(scenario), [1] * NUM_BLOCKS, SHAPE, task, scenario.objective, heads=heads
    )
    objective = Objective(scenario.objective, task, NUM_BLOCKS)
    return build_engine(
        chain,
        objective,
        scenario.optimizer,
        device=CPU,
        seed=3,
        config=scenario.engine,
        parallel=scenario.parallel,
        ranks=ranks,
    )


def make_trainer(
    scenario: Scenario,
    ranks: Ranks | None = None,
    folder: Path | None = None,
    stop_after: int | None = None,
) -> Trainer:
    return Trainer(
        make_engine(scenario, ranks),
        Batches(data(), scenario.batch_size),
        Batches(data(5, seed=9), 2, shuffle=False),
        config=TrainerConfig(
            epochs=scenario.epochs,
            batch_size=scenario.batch_size,
            checkpoint_every_steps=scenario.every_steps,
            early_stopping=scenario.stopping,
        ),
        optimizer=scenario.optimizer,
        schedule=ScheduleConfig(warmup_fraction=0.2),
        recorder=ListRecorder(),
        checkpoints=None if folder is None else CheckpointStore(folder, "run"),
        stop_after=stop_after,
    )


@dataclass(frozen=True)
class Trained:
    """Weights and averaged weights of all blocks, by name, and the history of metrics."""

    weights: dict[str, torch.Tensor]
    averaged: dict[str, torch.Tensor]
    history: list[dict[str, float]]


def trained(trainer: Trainer) -> Trained:
    """Train, then bring the blocks of all ranks together."""
    history = trainer.fit().history
    engine = trainer.engine
    weights, averaged = (
        {
            f"{engine.first_block + index}.{name}": value
            for index, block in enumerate(chain)
            for name, value in block.state_dict().items()
        }
        for chain in (engine.chain, engine.answering_chain)
    )
    return Trained(_all(engine.ranks.gather(weights)), _all(engine.ranks.gather(averaged)), history)


def comparable(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """The metrics that do not depend on how fast or how large a machine is."""
    return [
        {key: each[key] for key in each if not key.startswith(("speed/", "memory/"))}
        for each in history
    ]


def _all(of_ranks: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: value for each in reversed(of_ranks) for name, value in each.items()}


def train_all(ranks: ProcessRanks, scenarios: dict[str, Scenario]) -> dict[str, Trained]:
    return {name: trained(make_trainer(each, ranks)) for name, each in scenarios.items()}


def train_until_killed(ranks: Ranks, scenario: Scenario, folder: Path) -> str:
    """Train until the middle of the second epoch."""
    trainer = make_trainer(scenario, ranks, folder)
    trainer.train = KilledIn(trainer.train, epoch=1, after=3)
    try:
        trainer.fit()
    except BaseException as error:
        return type(error).__name__
    return "not killed"


def train_with_full_disk(ranks: ProcessRanks, scenario: Scenario, folder: Path) -> str:
    """Train; from the third checkpoint on, rank 1's disk is full."""
    write = FileSystemWriter.write_data

    def full(writer: FileSystemWriter, *plan: Any) -> Any:
        if ranks.rank == 1 and folder.joinpath("step-00000002").exists():
            raise OSError(28, "No space left on device")
        return write(writer, *plan)

    FileSystemWriter.write_data = full
    try:
        make_trainer(scenario, ranks, folder).fit()
    except CheckpointError as error:
        return str(error)
    finally:
        FileSystemWriter.write_data = write
    return "went on"


def resume(ranks: Ranks, scenario: Scenario, folder: Path) -> Trained:
    return trained(make_trainer(scenario, ranks, folder))
