"""The configuration of a whole run: every owner's section under one roof."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from brainage.backbones.config import BackboneConfig, CNN3DConfig
from brainage.baselines.config import BaselinesConfig
from brainage.config.inference import InferenceConfig
from brainage.config.names import is_folder_name
from brainage.config.search import SearchConfig
from brainage.core.config import (
    FORBID_UNKNOWN,
    BlocksConfig,
    HeadConfig,
    ObjectiveConfig,
    TaskConfig,
    require,
)
from brainage.core.placement import ParallelConfig
from brainage.core.rules import RULES
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.data.config import AugmentationConfig, DataConfig
from brainage.data.split_config import SplitConfig
from brainage.preprocess.config import PreprocessConfig
from brainage.tracking.config import TrackingConfig


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a training run does."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    """Name of the run and of its folder."""
    seed: int = 0
    """Seed of the split, the weights, the order of samples and the augmentation."""
    num_threads: int | None = None
    """Threads of the CPU's kernels; null leaves the number to torch."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which scans and ages."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Who trains, validates and tests."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """What nested cross-validation chooses among."""
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    """From a raw scan to the network's input."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Random changes of training volumes."""
    backbone: Annotated[BackboneConfig, Field(discriminator="name")] = field(
        default_factory=CNN3DConfig
    )
    """The network; ``name`` chooses the family."""
    blocks: BlocksConfig = field(default_factory=BlocksConfig)
    """How the backbone is cut."""
    heads: HeadConfig = field(default_factory=HeadConfig)
    """Workers and output heads of the blocks."""
    task: TaskConfig = field(default_factory=TaskConfig)
    """What is predicted."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """The training rule."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizer of each block."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning rate over the run."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How a step is carried out on the device."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Length and bookkeeping of the run."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    """Which networks are kept, and how they are asked."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How several devices share the run."""
    baselines: BaselinesConfig = field(default_factory=BaselinesConfig)
    """What the network is printed beside."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where the run is recorded."""

    def __post_init__(self) -> None:
        expected = "letters, digits, '.', '_' and '-', at most 64"
        require(is_folder_name(self.name), "name", expected, self.name)
        require(0 <= self.seed < 2**32, "seed", "a number from 0 to 2**32 - 1", self.seed)
        valid = self.num_threads is None or self.num_threads >= 1
        require(valid, "num_threads", "at least 1 or null", self.num_threads)

    @property
    def total_epochs(self) -> int:
        """Epochs in all: ``trainer.epochs`` for each phase of the training rule."""
        return self.trainer.epochs * RULES[self.objective.name].num_phases(self.blocks.num_blocks)
