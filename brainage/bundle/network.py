"""From a configuration to a network: backbone, cut into blocks, with the heads its rule needs."""

from dataclasses import replace
from typing import Protocol

import torch

from brainage.backbones.config import BackboneConfig
from brainage.backbones.registry import build_stages
from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.build import build_chain
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig
from brainage.core.objectives import Objective
from brainage.core.partition import resolve_cuts, stage_counts
from brainage.core.tasks import Task
from brainage.errors import ConfigError


class NetworkSettings(Protocol):
    """The sections that a network depends on, of a run or of a recipe for images."""

    @property
    def backbone(self) -> BackboneConfig:
        """The chain of stages."""

    @property
    def blocks(self) -> BlocksConfig:
        """How it is cut."""

    @property
    def heads(self) -> HeadConfig:
        """Workers and output heads."""

    @property
    def objective(self) -> ObjectiveConfig:
        """The training rule."""


def build_network(
    config: NetworkSettings, task: Task, input_shape: tuple[int, ...], seed: int
) -> tuple[BlockChain, Objective]:
    """A fresh network and its training rule.

    Args:
        config: backbone, cuts, heads and rule.
        task: fitted to the training targets.
        input_shape: shape of one input without the batch axis, e.g. (1, 48, 56, 48).
        seed: initial weights depend on it alone.

    Raises:
        ConfigError: if the backbone cannot be cut so, or inputs are too small for it.
    """
    objective = Objective(config.objective, task, config.blocks.num_blocks)
    try:
        stages = build_stages(config.backbone, input_shape, seed)
        chain = build_chain(
            stages,
            stage_counts(len(stages), config.blocks),
            input_shape,
            task,
            config.objective,
            heads=config.heads,
            seed=seed,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return chain, objective


def settle_cuts(config: RunConfig, input_shape: tuple[int, ...], device: torch.device) -> RunConfig:
    """The same configuration with explicit cuts where ``blocks.balance`` asks for measured ones.

    Raises:
        ConfigError: if the backbone cannot be cut so, or the grid is too small for it.
    """
    if config.blocks.balance == "stages" or config.blocks.cuts is not None:
        return config
    try:
        stages = build_stages(config.backbone, input_shape, config.seed)
        size = config.trainer.batch_size
        blocks = resolve_cuts(
            stages,
            input_shape,
            size,
            config.blocks,
            device=device,
            precision=config.engine.precision,
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"blocks: {str(error).splitlines()[0]}") from error
    return replace(config, blocks=blocks)
