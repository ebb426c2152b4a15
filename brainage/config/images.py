"""The configuration of ``brainage benchmark images``: one recipe, several training methods."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from brainage.backbones.config import BackboneConfig, MLPConfig
from brainage.config.files import apply_overrides, find_config, read_config
from brainage.config.names import is_folder_name
from brainage.config.sections import merge
from brainage.config.validation import to_plain, validate
from brainage.config.yaml_text import to_yaml
from brainage.core.compatibility import conflicts
from brainage.core.config import (
    FORBID_UNKNOWN,
    BlocksConfig,
    HeadConfig,
    ObjectiveConfig,
    TaskConfig,
    require,
)
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.data.images.config import ImageAugmentationConfig, ImageDataConfig
from brainage.errors import ConfigError
from brainage.tracking.config import TrackingConfig

CLASSES = TaskConfig(name="classification", num_classes=2)
"""For checks that do not depend on how many classes there are."""
GIVEN = "as given"
"""Name of the only candidate where there is no search."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._%+-]{0,63}\Z")


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """How a network is built and trained."""

    __pydantic_config__ = FORBID_UNKNOWN

    backbone: Annotated[BackboneConfig, Field(discriminator="name")] = field(
        default_factory=MLPConfig
    )
    """The network; ``name`` chooses the family."""
    blocks: BlocksConfig = field(default_factory=BlocksConfig)
    """How the backbone is cut."""
    heads: HeadConfig = field(default_factory=HeadConfig)
    """Workers and output heads of the blocks."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """The training rule."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizer of each block."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning rate over the run."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How a step is carried out on the device."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Length and bookkeeping of a fit."""


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Several training methods on one image set."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    """Name of the panel and of its folder."""
    methods: dict[str, dict[str, Any]]
    """What each method changes in ``recipe``, by the name it has in the table."""
    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    """Which images."""
    augmentation: ImageAugmentationConfig = field(default_factory=ImageAugmentationConfig)
    """Random changes of training images."""
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """What all methods share."""
    search: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further changes, by name, that every method tries with the first seed. Each keeps the one
    with the lowest validation error; test images are not looked at before. Empty: no search."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every method is trained once with each: of the weights, the order, augmentation."""
    published_epochs: int | None = None
    """Epochs of the whole experiment: as published, or the recipe's own where the publication gives
    none. Fewer are told as a reduced one."""
    num_threads: int | None = 1
    """Threads of each fit on a CPU; null leaves the number to torch."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where the panel is recorded."""

    def __post_init__(self) -> None:
        valid = is_folder_name(self.name)
        require(valid, "name", "letters, digits, '.', '_' and '-', at most 64", self.name)
        for key in ("methods", "search"):
            names = list(getattr(self, key))
            valid = all(_NAME.match(name) for name in names)
            require(valid, key, "names of letters, digits, spaces and . _ % + -", names)
        require(bool(self.methods), "methods", "at least one", [])
        require(len(self.search) != 1, "search", "none, or at least two", list(self.search))
        different = len(set(self.seeds)) == len(self.seeds) > 0
        require(different, "seeds", "different numbers, at least one", list(self.seeds))
        in_range = all(0 <= seed < 2**32 for seed in self.seeds)
        require(in_range, "seeds", "numbers from 0 to 2**32 - 1", list(self.seeds))
        for key in ("num_threads", "published_epochs"):
            value = getattr(self, key)
            require(value is None or value >= 1, key, "at least 1 or null", value)
        unused = self.augmentation.used_for_small_images if self.data.name == "imagenet" else []
        require(not unused, "augmentation", "for imagenet no settings of small images", unused)

    @property
    def candidates(self) -> tuple[str, ...]:
        """What every method tries."""
        return tuple(self.search) or (GIVEN,)

    def recipe_of(self, method: str, candidate: str) -> RecipeConfig:
        """What a method trains with under one candidate of the search.

        Raises:
            ConfigError: if the changes cannot run.
        """
        plain = merge(RecipeConfig, to_plain(self.recipe), self.methods[method])
        try:
            plain = merge(RecipeConfig, plain, self.search.get(candidate, {}))
            recipe = validate(RecipeConfig, plain)
        except ConfigError as error:
            raise ConfigError(f"methods.{method}: {error}") from error
        _refuse_conflicts(method, recipe)
        return recipe


def load_images_config(path: str | Path, overrides: Sequence[str] = ()) -> ImagesConfig:
    """Load, override and validate; every method is checked.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``recipe.trainer.epochs=3``, applied in order; the value is read as YAML.

    Raises:
        ConfigError: lists problems, each after the path of its key.
    """
    content = read_config(ImagesConfig, find_config(path))
    return images_config_from(apply_overrides(ImagesConfig, content, overrides))


def images_config_from(content: Mapping[str, Any]) -> ImagesConfig:
    """Validate keys and values, and every method under every candidate.

    Raises:
        ConfigError: lists problems, each after the path of its key.
    """
    config = validate(ImagesConfig, content)
    for method in config.methods:
        for candidate in config.candidates:
            config.recipe_of(method, candidate)
    return config


def dump_images_config(config: ImagesConfig) -> str:
    """The configuration as YAML with every default written out; loading it gives it back."""
    return to_yaml(to_plain(config))


def same_fits(first: ImagesConfig, second: ImagesConfig) -> bool:
    """Whether two panels have the same fits: they may differ in what decides none."""
    ones, others = (
        {
            (method, candidate, config.seeds): fit_fingerprint(
                config, config.recipe_of(method, candidate), images=""
            )
            for method in config.methods
            for candidate in config.candidates
        }
        for config in (first, second)
    )
    return ones == others


def fit_fingerprint(config: ImagesConfig, recipe: RecipeConfig, images: str) -> str:
    """Changes with everything that decides the result of a fit but its seed.

    Args:
        config: of the panel.
        recipe: of the method.
        images: a digest of the images of all parts.
    """
    content = {
        "recipe": to_plain(recipe),
        "augmentation": to_plain(config.augmentation),
        "data": {k: v for k, v in to_plain(config.data).items() if k != "num_loader_workers"},
        "images": images,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _refuse_conflicts(method: str, recipe: RecipeConfig) -> None:
    """What the method itself refuses, and more blocks than stages."""
    found = list(conflicts(CLASSES, recipe.objective, recipe.heads, recipe.engine))
    stages = recipe.backbone.num_stages
    if recipe.blocks.num_blocks > stages:
        found.append(
            f"blocks.num_blocks: expected at most {stages}, the stages of "
            f"{recipe.backbone.name}, got {recipe.blocks.num_blocks}"
        )
    if found:
        raise ConfigError("; ".join(f"methods.{method}: {problem}" for problem in found))
