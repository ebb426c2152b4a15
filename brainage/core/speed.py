"""Training steps of several rules side by side on synthetic inputs: time, memory, activations.

Inside the clock: forward, losses, backward and optimizer step, until the device is done. Outside:
making the inputs and their transfer, evaluation and logging.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.random import random_stream
from brainage.core.tasks import Task
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.core.types import Batch

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SpeedCase:
    """One way to train one network, as a description that another process can build again.

    ``method`` names it, e.g. ``bp_checkpointed``. ``build_stages`` gives the backbone and has to be
    a function that can be pickled. ``backbone`` is its name in the table.
    """

    method: str
    backbone: str
    build_stages: Callable[[], list[nn.Module]]
    input_shape: tuple[int, ...]
    batch_size: int
    stage_counts: tuple[int, ...]
    task: Task
    heads: HeadConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig
    engine: EngineConfig
    device: str = "cpu"
    num_threads: int | None = None
    seed: int = 0

    def build(self) -> SingleDeviceEngine:
        """A fresh network on its device, with its engine."""
        chain = build_chain(
            self.build_stages(),
            self.stage_counts,
            self.input_shape,
            self.task,
            self.objective,
            heads=self.heads,
            seed=self.seed,
        )
        return SingleDeviceEngine(
            chain,
            Objective(self.objective, self.task, len(self.stage_counts)),
            build_optimizers(chain, self.optimizer),
            device=torch.device(self.device),
            seed=self.seed,
            clip_norm=self.optimizer.clip_norm,
            config=self.engine,
        )

    def batch(self) -> Batch:
        """One batch of noise on the device, with targets that the task can read."""
        with random_stream(self.seed, "speed"):
            inputs = torch.randn(self.batch_size, *self.input_shape)
        outputs = torch.eye(self.task.output_size)[torch.arange(self.batch_size) % 2]
        targets = self.task.predict(outputs)
        return Batch(inputs.to(self.device), targets.to(self.device))


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """One row of the table; ``docs`` of the command say what is inside the clock.

    ``peak_memory_bytes``: highest memory during steps, minus that with the network and its weights
    in place. ``activation_bytes``: counted, not observed: what blocks hold for their backward
    passes, of the largest block where each is released before the next, of all otherwise.
    ``speedup`` and ``efficiency`` (for each device) compare with the row named ``baseline``.
    ``loader_wait_seconds`` is zero: no data are loaded. Nothing here is predicted.
    """

    method: str
    engine: Literal["single", "checkpointed"]
    devices: int
    replicas: int
    blocks: int
    backbone: str
    input_shape: tuple[int, ...]
    batch_size: int
    precision: str
    step_seconds: float
    step_seconds_iqr: float
    samples_per_second: float
    peak_memory_bytes: int
    activation_bytes: int
    loader_wait_seconds: float
    baseline: str
    speedup: float
    efficiency: float
    predicted_speedup: float | None
    device_name: str
    torch_version: str
    kind: Literal["measured"]
