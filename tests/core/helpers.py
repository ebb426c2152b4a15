"""Small networks and batches that the core's tests share."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from brainage.core.batches import batch_sizes
from brainage.core.blocks import BlockChain
from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.random import derive_seed, random_stream
from brainage.core.tasks import Task, fit_task
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.core.types import Batch, Rows

INPUT_SHAPE = (5,)
NUM_STAGES = 3


def make_stages(seed: int = 0, dropout: float = 0.0) -> list[nn.Module]:
    with random_stream(seed):
        return [
            nn.Sequential(nn.Linear(5 if i == 0 else 8, 8), nn.Tanh(), nn.Dropout(dropout))
            for i in range(NUM_STAGES)
        ]


def make_ages(num_samples: int = 12, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ages = 20 + 50 * torch.rand(num_samples, generator=generator)
    return Batch(torch.randn(num_samples, *INPUT_SHAPE, generator=generator), ages)


def make_task(name: str = "soft_bins") -> Task:
    if name == "classification":
        return fit_task(TaskConfig(name="classification", num_classes=4), torch.tensor([0, 3]))
    return fit_task(TaskConfig(name=name, num_bins=9), torch.tensor([20.0, 45.0, 70.0]))


def make_engine(
    objective: ObjectiveConfig,
    *,
    stage_counts: tuple[int, ...] = (1, 1, 1),
    heads: HeadConfig | None = None,
    optimizer: OptimizerConfig | None = None,
    task: Task | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    config: EngineConfig | None = None,
) -> SingleDeviceEngine:
    task = task or make_task()
    rule = Objective(objective, task, len(stage_counts))
    chain = build_chain(
        make_stages(dropout=dropout),
        stage_counts,
        INPUT_SHAPE,
        task,
        objective,
        heads=heads or HeadConfig(num_lf_workers=4),
    )
    optimizers = build_optimizers(chain, optimizer or OptimizerConfig(name="sgd"))
    return SingleDeviceEngine(
        chain, rule, optimizers, device=torch.device("cpu"), seed=seed, config=config
    )


def weights(chain: BlockChain) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in chain.state_dict().items()}


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Batches:
    """In-memory batches whose order depends on (seed, epoch) alone."""

    def __init__(self, data: Batch, batch_size: int, *, shuffle: bool = True) -> None:
        self.data, self.batch_size, self.shuffle = data, batch_size, shuffle

    @property
    def num_samples(self) -> int:
        return len(self.data.targets)

    @property
    def batch_sizes(self) -> Sequence[int]:
        return batch_sizes(self.num_samples, self.batch_size)

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        order = torch.arange(self.num_samples)
        if self.shuffle:
            generator = torch.Generator().manual_seed(derive_seed("order", epoch))
            order = torch.randperm(self.num_samples, generator=generator)
        for chosen in order.split(self.batch_size)[first:]:
            wanted = chosen if rows is None else chosen[list(rows(len(chosen)))]
            yield Batch(self.data.inputs[wanted], self.data.targets[chosen])


class Killed(BaseException):
    pass


class KilledIn(Batches):
    """Delivers batches until the middle of an epoch, then dies like a killed process."""

    def __init__(self, inner: Batches, epoch: int, after: int = 1) -> None:
        super().__init__(inner.data, inner.batch_size)
        self.epoch = epoch
        self.after = after

    def batches(self, epoch: int, **options: Any) -> Iterator[Batch]:
        for index, batch in enumerate(super().batches(epoch, **options)):
            if epoch == self.epoch and index == self.after:
                raise Killed
            yield batch


class ListRecorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.metric_calls: list[tuple[int, dict[str, float]]] = []
        self.events: list[str] = []

    def parameters(self, values: object) -> None: ...

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.metric_calls.append((step, dict(values)))

    def event(self, kind: str, **fields: object) -> None:
        self.events.append(kind)

    def artifact(self, path: object, folder: str = "") -> None: ...

    def close(self, status: str) -> None: ...
