"""What ``brainage plan`` plans for: the network of a speed or of a run configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from brainage.backbones.config import BackboneConfig
from brainage.config.files import BASE_KEY, apply_overrides, find_config, read_config
from brainage.config.load import load_config
from brainage.config.run import RunConfig
from brainage.config.speed import SpeedConfig
from brainage.config.validation import validate
from brainage.config.yaml_text import read_yaml
from brainage.core.config import (
    FORBID_UNKNOWN,
    BlocksConfig,
    HeadConfig,
    ObjectiveConfig,
    TaskConfig,
    require,
)
from brainage.core.placement import ParallelConfig
from brainage.core.training_config import EngineConfig, OptimizerConfig


@dataclass(frozen=True, kw_only=True)
class PublishedSpeedup:
    """A published speedup, to stand beside the projected one."""

    __pydantic_config__ = FORBID_UNKNOWN

    blocks: int
    """Number of blocks."""
    speedup: float
    """Over back-propagation, as published."""

    def __post_init__(self) -> None:
        require(self.blocks >= 1, "blocks", "at least 1", self.blocks)
        require(self.speedup > 0, "speedup", "a positive number", self.speedup)


@dataclass(frozen=True, kw_only=True)
class PlanConfig(SpeedConfig):
    """A speed configuration, with what was published for its network."""

    __pydantic_config__ = FORBID_UNKNOWN

    published: tuple[PublishedSpeedup, ...] = ()
    """Published speedups by number of blocks."""
    published_source: str = ""
    """Where they are from."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The parts of a configuration that a plan depends on."""

    name: str
    input_shape: tuple[int, ...]
    batch_size: int
    num_threads: int | None
    device: str
    seed: int
    keep_freed_memory: bool
    backbone: BackboneConfig
    blocks: BlocksConfig
    heads: HeadConfig
    task: TaskConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig
    engine: EngineConfig
    parallel: ParallelConfig
    published: tuple[PublishedSpeedup, ...] = ()
    published_source: str = ""

    def published_speedup(self, num_blocks: int) -> float | None:
        """What was published for so many blocks."""
        found = [each.speedup for each in self.published if each.blocks == num_blocks]
        return found[0] if found else None


_SHARED = (
    "name",
    "num_threads",
    "seed",
    "backbone",
    "blocks",
    "heads",
    "task",
    "objective",
    "optimizer",
    "engine",
)


def load_planned(path: str | Path, overrides: Sequence[str] = ()) -> Planned:
    """Load the network of a speed configuration, or of a run.

    A file with a key that only runs have, such as ``trainer`` or ``data``, is a run's.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``blocks.num_blocks=8``, applied in order; the value is read as YAML.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    found = find_config(path)
    if _keys(found) & _only_in(RunConfig, PlanConfig):
        return _of_run(load_config(path, overrides))
    content = read_config(PlanConfig, found)
    return _of_speed(validate(PlanConfig, apply_overrides(PlanConfig, content, overrides)))


def _of_run(config: RunConfig) -> Planned:
    return Planned(
        **_shared(config),
        input_shape=(1, *config.preprocess.grid.shape_XYZ),
        batch_size=config.trainer.batch_size,
        device=config.trainer.device,
        keep_freed_memory=True,
        parallel=_parallel(config),
    )


def _of_speed(config: PlanConfig) -> Planned:
    return Planned(
        **_shared(config),
        input_shape=config.input_shape,
        batch_size=config.batch_size,
        device=config.device,
        keep_freed_memory=config.keep_freed_memory,
        parallel=_parallel(config),
        published=config.published,
        published_source=config.published_source,
    )


def _shared(config: RunConfig | PlanConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _SHARED}


def _parallel(config: RunConfig | PlanConfig) -> ParallelConfig:
    """Its settings for several devices, or the defaults."""
    found = getattr(config, "parallel", None)
    return found if isinstance(found, ParallelConfig) else ParallelConfig()


def _only_in(section: type[Any], other: type[Any]) -> set[str]:
    return {each.name for each in fields(section)} - {each.name for each in fields(other)}


def _keys(path: Path) -> set[str]:
    """Keys at the top of a file and of its base."""
    content: Mapping[str, Any] = read_yaml(path)
    keys = set(content)
    base = content.get(BASE_KEY)
    if isinstance(base, str) and (path.parent / base).is_file():
        keys |= set(read_yaml(path.parent / base))
    return keys
