"""A small convolutional network of two blocks, with its batches."""

import torch
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.random import random_stream
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.core.types import Batch
from tests.core.helpers import make_task, weights

PLAIN_SGD = OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0)


def volumes(axes: int = 3, *, classes: bool = False, size: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(size, 1, *[8] * axes, generator=generator)
    ages = 20 + 50 * torch.rand(size, generator=generator)
    return Batch(inputs, torch.arange(size) % 4 if classes else ages)


def make_convolutional(
    rule: str = "lfnn_l",
    config: EngineConfig | None = None,
    *,
    axes: int = 3,
    norm: str = "group",
    dropout: float = 0.0,
) -> SingleDeviceEngine:
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
    batch_norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes]
    stages = []
    with random_stream("stages"):
        for channels in (1, 8):
            normalised = nn.GroupNorm(2, 8) if norm == "group" else batch_norm(8)
            layers = [convolution(channels, 8, 3, padding=1), normalised, nn.ReLU()]
            stages.append(nn.Sequential(*layers, nn.Dropout(dropout)))
    objective = ObjectiveConfig(name=rule, leader_fraction=0.5)
    task = make_task("classification" if RULES[rule].contrasts else "soft_bins")
    heads = HeadConfig(num_lf_workers=4, pooled_size=2)
    chain = build_chain(stages, (1, 1), (1, *[8] * axes), task, objective, heads=heads)
    return SingleDeviceEngine(
        chain,
        Objective(objective, task, 2),
        build_optimizers(chain, PLAIN_SGD),
        device=torch.device("cpu"),
        seed=0,
        config=config,
    )


def train(engine: SingleDeviceEngine, batch: Batch, steps: int = 3) -> dict[str, torch.Tensor]:
    for step in range(steps):
        # Greedy training: one block, then the other.
        engine.train_step(batch, step, 0.05, progress=step / steps)
    return weights(engine.chain)


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], atol: float = 1e-5) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[n], b[n], atol=atol) for n in a)
