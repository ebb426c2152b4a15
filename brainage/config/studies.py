"""Settings of the studies behind the figures about workers and about complexity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from brainage.backbones.config import MLPConfig
from brainage.config.images import RecipeConfig
from brainage.config.sections import merge
from brainage.config.validation import to_plain, validate
from brainage.core.config import (
    FORBID_UNKNOWN,
    LEADER_FOLLOWER_RULES,
    BlocksConfig,
    HeadConfig,
    ObjectiveConfig,
    require,
)
from brainage.core.training_config import OptimizerConfig, ScheduleConfig, TrainerConfig
from brainage.data.images.config import ImageAugmentationConfig, ImageDataConfig, ImageSetName

Resize = Literal["area", "bilinear", "nearest"]
Mass = Literal["subtract_least", "raw", "no_empty_cell"]
Study = TypeVar("Study")


def supplement_recipe() -> RecipeConfig:
    """The supplement's network on MNIST: 2 x 32 workers of 10 units, 20 % of them leaders.

    What is not stated there, the size of a batch and the course of the learning rate, is as in
    ``configs/images/mnist_mlp.yaml``.
    """
    return RecipeConfig(
        backbone=MLPConfig(hidden_sizes=(320, 320), output_stage=True),
        blocks=BlocksConfig(num_blocks=3),
        heads=HeadConfig(
            num_lf_workers=32,
            readout="units",
            output_block_workers=False,
            probe_hidden_blocks=False,
        ),
        objective=ObjectiveConfig(name="lfnn_l", leader_fraction=0.2),
        optimizer=OptimizerConfig(name="adam", learning_rate=5e-4, weight_decay=0.0),
        schedule=ScheduleConfig(name="cosine", warmup_fraction=0.0),
        trainer=TrainerConfig(epochs=50, batch_size=128),
    )


@dataclass(frozen=True, kw_only=True)
class VicsekConfig:
    """The model of self-driven particles that is drawn beside the workers' activity.

    Source: Vicsek et al. 1995; the defaults are those of its figure 1d.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    num_particles: int = 300
    """Particles N."""
    box_size: float = 5.0
    """Side L of the periodic square."""
    radius: float = 1.0
    """Distance r within which particles are neighbours."""
    speed: float = 0.03
    """Distance that a particle moves in a step."""
    noise: float = 0.1
    """eta: the random turn of a step is uniform in [-eta / 2, eta / 2], in radians."""
    num_steps: int = 300
    """Steps that are simulated."""
    seed: int = 0
    """Of places, headings and noise."""

    def __post_init__(self) -> None:
        for key in ("num_particles", "num_steps"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        for key in ("box_size", "radius"):
            require(getattr(self, key) > 0, key, "a positive number", getattr(self, key))
        require(self.speed >= 0, "speed", "zero or more", self.speed)
        require(0 <= self.noise <= 6.3, "noise", "radians from 0 to 2 pi", self.noise)
        require(self.seed >= 0, "seed", "zero or more", self.seed)


@dataclass(frozen=True, kw_only=True)
class ActivityConfig:
    """Which steps of which networks are looked at for the workers' activity."""

    __pydantic_config__ = FORBID_UNKNOWN

    leader_fraction: float = 0.3
    """Share of leaders, in training and in telling leaders from followers."""
    control: bool = True
    """Whether a network that all workers lead is watched, too: what unison is there in it, without
    a follower?"""
    first_steps: int = 1000
    """Steps at the start that are recorded."""
    later_steps: int = 1000
    """Steps at the end that are recorded, those that are not among the first; 0 for none."""
    record_every: int = 1
    """Every so many of these steps is recorded."""

    def __post_init__(self) -> None:
        valid = 0 < self.leader_fraction < 1
        require(valid, "leader_fraction", "a fraction in (0, 1)", self.leader_fraction)
        require(self.first_steps >= 1, "first_steps", "at least 1", self.first_steps)
        require(self.later_steps >= 0, "later_steps", "zero or more", self.later_steps)
        require(self.record_every >= 1, "record_every", "at least 1", self.record_every)


@dataclass(frozen=True, kw_only=True)
class WorkerStudyConfig:
    """What workers do in training and in inference: figures S1, S2 and S4, table S10."""

    __pydantic_config__ = FORBID_UNKNOWN

    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    """Which images."""
    augmentation: ImageAugmentationConfig = field(default_factory=ImageAugmentationConfig)
    """Random changes of training images."""
    recipe: RecipeConfig = field(default_factory=supplement_recipe)
    """The network and its training."""
    activity: ActivityConfig | None = field(default_factory=ActivityConfig)
    """What is recorded of the workers' activity; null trains no network for it."""
    vicsek: VicsekConfig = field(default_factory=VicsekConfig)
    """The particles beside them."""
    evaluate_every: int = 1
    """Epochs between two evaluations of the best leaders; the last epoch is always evaluated."""
    random_draws: int = 10
    """Random sets of as many workers as lead, and as follow, that inference is also run with."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """A network is trained with each."""
    num_threads: int | None = 1
    """Threads of each fit on a CPU; null leaves the number to torch."""

    def __post_init__(self) -> None:
        _check_seeds(self.seeds)
        require(self.evaluate_every >= 1, "evaluate_every", "at least 1", self.evaluate_every)
        require(self.random_draws >= 1, "random_draws", "at least 1", self.random_draws)
        valid = self.num_threads is None or self.num_threads >= 1
        require(valid, "num_threads", "at least 1 or null", self.num_threads)
        name = self.recipe.objective.name
        known = sorted(LEADER_FOLLOWER_RULES)
        require(name in known, "recipe.objective.name", f"one of {known}", name)
        fraction = self.recipe.objective.leader_fraction
        require(fraction < 1, "recipe.objective.leader_fraction", "less than 1", fraction)


@dataclass(frozen=True, kw_only=True)
class ComplexityStudyConfig:
    """How complex image sets are: figures S9 and S10."""

    __pydantic_config__ = FORBID_UNKNOWN

    data: tuple[ImageDataConfig, ...] = field(
        default_factory=lambda: tuple(
            ImageDataConfig(name=name) for name in ("mnist", "cifar10", "tiny_imagenet", "imagenet")
        )
    )
    """The image sets; of each, name and folder are read."""
    images_per_set: int = 512
    """Training images of each set that are measured, spread evenly over its classes; all of a set
    that has fewer."""
    order: int = 5
    """Images are resized to ``2**order`` cells an axis."""
    native_orders: dict[ImageSetName, int] = field(
        default_factory=lambda: {"mnist": 5, "cifar10": 5, "tiny_imagenet": 6, "imagenet": 7}
    )
    """Order near a set's own resolution: of the pictures, and of one of the alternatives."""
    resize: Resize = "area"
    """How images are resized: mean over an area (repetition where they grow), bilinear without
    aliasing, or the nearest pixel."""
    mass: Mass = "subtract_least"
    """How intensities become mass: less the image's least one; as they are; or raised by one level
    of 255, so that no cell is empty."""
    largest_moment: float = 5.0
    """Moments q reach from minus this to this, in steps of a half."""

    def __post_init__(self) -> None:
        names = [each.name for each in self.data]
        different = len(set(names)) == len(names) > 0
        require(different, "data", "different image sets, at least one", names)
        require(self.images_per_set >= 1, "images_per_set", "at least 1", self.images_per_set)
        require(2 <= self.order <= 9, "order", "from 2 to 9", self.order)
        valid = all(2 <= order <= 9 for order in self.native_orders.values())
        require(valid, "native_orders", "numbers from 2 to 9", self.native_orders)
        missing = [name for name in names if name not in self.native_orders]
        require(not missing, "native_orders", "one for every image set", self.native_orders)
        valid = 0.5 <= self.largest_moment <= 20
        require(valid, "largest_moment", "from 0.5 to 20", self.largest_moment)


@dataclass(frozen=True, kw_only=True)
class LeaderComplexityConfig:
    """Leaders that a class needs against how complex its images are: figure S11."""

    __pydantic_config__ = FORBID_UNKNOWN

    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    """The image set that the fits were trained on."""
    num_lf_workers: int = 32
    """Workers W of a block: a fraction of leaders times W is a number of leaders."""
    images_per_class: int = 100
    """Training images of each class whose complexity is measured; all of a class with fewer."""
    order: int = 5
    """Images are resized to ``2**order`` cells an axis."""
    resize: Resize = "area"
    """As in the complexity study."""
    mass: Mass = "subtract_least"
    """As in the complexity study."""
    largest_moment: float = 5.0
    """As in the complexity study."""
    num_resamples: int = 2000
    """Permutations, and bootstrap samples of the classes."""
    seed: int = 0
    """Of the resampling."""

    def __post_init__(self) -> None:
        for key in ("num_lf_workers", "images_per_class", "num_resamples"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        require(2 <= self.order <= 9, "order", "from 2 to 9", self.order)
        valid = 0.5 <= self.largest_moment <= 20
        require(valid, "largest_moment", "from 0.5 to 20", self.largest_moment)
        require(self.seed >= 0, "seed", "zero or more", self.seed)


def study_from(study: type[Study], changes: Mapping[str, Any]) -> Study:
    """A study with these changes of its defaults, key by key at every level.

    Args:
        study: one of the studies of this module.
        changes: like ``{"recipe": {"trainer": {"epochs": 5}}}``.

    Raises:
        ConfigError: lists problems, each after the path of its key.
    """
    return validate(study, merge(study, to_plain(study()), changes))


def _check_seeds(seeds: tuple[int, ...]) -> None:
    different = len(set(seeds)) == len(seeds) > 0
    require(different, "seeds", "different numbers, at least one", list(seeds))
    in_range = all(0 <= seed < 2**32 for seed in seeds)
    require(in_range, "seeds", "numbers from 0 to 2**32 - 1", list(seeds))
