"""Settings that are each in range and still do not go together.

A check is a function from the configuration to its problems, each beginning with the path of the
key to change. A new one goes into ``CHECKS``.
"""

from collections.abc import Callable, Iterator

from brainage.config.run import RunConfig
from brainage.core.compatibility import conflicts
from brainage.errors import ConfigError

Check = Callable[[RunConfig], Iterator[str]]


def blocks_fit_backbone(config: RunConfig) -> Iterator[str]:
    """Every block needs a stage."""
    stages, blocks = config.backbone.num_stages, config.blocks
    kind = config.backbone.name
    if blocks.num_blocks > stages:
        yield (
            f"blocks.num_blocks: expected at most {stages}, the stages of {kind}, "
            f"got {blocks.num_blocks}"
        )
    elif blocks.cuts and blocks.cuts[-1] >= stages:
        yield (
            f"blocks.cuts: expected cuts before stage {stages}, the last of {kind}, "
            f"got {list(blocks.cuts)}"
        )


def task_fits_data(config: RunConfig) -> Iterator[str]:
    """Scans come with ages, not with classes."""
    if config.task.name == "classification":
        yield (
            "task.name: expected 'regression' or 'soft_bins' for scans with ages, "
            "got 'classification'"
        )


def method_fits_together(config: RunConfig) -> Iterator[str]:
    """What the method itself refuses, in a run as in a program of one's own."""
    yield from conflicts(config.task, config.objective, config.heads, config.engine)


CHECKS: tuple[Check, ...] = (
    blocks_fit_backbone,
    task_fits_data,
    method_fits_together,
)


def cross_checks(config: RunConfig) -> None:
    """Refuse combinations that cannot run.

    Raises:
        ConfigError: lists every problem.
    """
    if problems := [problem for check in CHECKS for problem in check(config)]:
        raise ConfigError("; ".join(problems))
