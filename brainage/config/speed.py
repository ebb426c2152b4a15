"""The configuration of ``brainage benchmark speed``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from brainage.backbones.config import BackboneConfig, CNN3DConfig
from brainage.config.files import apply_overrides, find_config, read_config
from brainage.config.validation import validate
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
from brainage.errors import ConfigError

SpeedMethod = Literal["bp", "bp_checkpointed", "bp_deep_supervision", "lfnn", "lfnn_l"]
ParallelMethod = Literal["bp_threads", "bp_independent", "bp_ddp", "bp_1f1b", "lfnn_l_blocks"]


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """One network on synthetic inputs, trained by several methods side by side."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    """Name of the comparison."""
    input_shape: tuple[int, ...] = (1, 80, 96, 80)
    """Shape of one input: channels, then two or three axes."""
    batch_size: int = 2
    """Inputs in one step."""
    methods: tuple[SpeedMethod | ParallelMethod, ...] = (
        "bp",
        "bp_checkpointed",
        "bp_deep_supervision",
        "lfnn_l",
    )
    """What is compared; the first is the baseline. ``bp_checkpointed`` is back-propagation that
    keeps block boundaries and recomputes the rest. With several devices also: ``bp_threads``, one
    process with a thread for each device; ``bp_independent``, a network of its own in every
    process, which is what the machine can give at best; ``bp_ddp``; ``bp_1f1b``; and
    ``lfnn_l_blocks``."""
    rounds: int = 15
    """Timed steps of each method; with several devices, rounds of ``steps_per_round``."""
    steps_per_round: int = 8
    """With several devices: timed steps of a method before it is the next one's turn."""
    devices: int = 1
    """Accelerators, or processes of ``num_threads`` threads on a CPU."""
    keep_freed_memory: bool = True
    """Keep freed memory in the process on a CPU, as training does. Turn it off for networks whose
    activations, of all methods together, do not fit into memory."""
    num_threads: int | None = None
    """Threads of the CPU's kernels; null leaves the number to torch."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:1``."""
    seed: int = 0
    """Of weights and inputs."""
    backbone: Annotated[BackboneConfig, Field(discriminator="name")] = field(
        default_factory=CNN3DConfig
    )
    """The network; ``name`` chooses the family."""
    blocks: BlocksConfig = field(default_factory=BlocksConfig)
    """How the backbone is cut: for LFNN-l, and where activations are kept when checkpointing."""
    heads: HeadConfig = field(default_factory=HeadConfig)
    """Workers and output heads. All methods have the same output head."""
    task: TaskConfig = field(default_factory=TaskConfig)
    """What is predicted."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """Settings of the training rules; ``methods`` names the rules."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizer, the same for all; timed steps use no learning rate, so that weights stay."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """With several devices: who trains which blocks."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How steps are carried out, the same for all."""

    def __post_init__(self) -> None:
        valid = len(self.input_shape) in {3, 4} and min(self.input_shape) >= 1
        require(valid, "input_shape", "channels and two or three axes", self.input_shape)
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        require(self.rounds >= 5, "rounds", "at least 5, for a median", self.rounds)
        require(self.steps_per_round >= 1, "steps_per_round", "at least 1", self.steps_per_round)
        require(self.devices >= 1, "devices", "at least 1", self.devices)
        several = [name for name in self.methods if name in get_args(ParallelMethod)]
        fits = self.devices > 1 or not several
        require(fits, "devices", f"at least 2 for {', '.join(several)}", self.devices)
        fits = self.devices == 1 or self.methods[0] in {"bp", "lfnn_l"}
        require(fits, "methods", "bp or lfnn_l first, as the baseline", self.methods)
        different = len(set(self.methods)) == len(self.methods) > 0
        require(different, "methods", "different names, at least one", self.methods)
        valid = self.num_threads is None or self.num_threads >= 1
        require(valid, "num_threads", "at least 1 or null", self.num_threads)


def load_speed_config(path: str | Path, overrides: Sequence[str] = ()) -> SpeedConfig:
    """Load, override and validate.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``blocks.num_blocks=8``, applied in order; the value is read as YAML.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    content = read_config(SpeedConfig, find_config(path))
    config = validate(SpeedConfig, apply_overrides(SpeedConfig, content, overrides))
    stages = config.backbone.num_stages
    if config.blocks.num_blocks > stages:
        raise ConfigError(
            f"blocks.num_blocks: expected at most {stages}, the stages of {config.backbone.name}, "
            f"got {config.blocks.num_blocks}"
        )
    return config
