"""Settings that are each in range and still do not go together.

A check is a function from the configuration to its problems, each beginning with the path of the
key to change. A new one goes into ``CHECKS``.
"""

from collections.abc import Callable, Iterator

from brainage.config.run import RunConfig
from brainage.core.compatibility import conflicts
from brainage.core.rules import RULES
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


def folds_are_there_to_keep(config: RunConfig) -> Iterator[str]:
    """Networks of folds are kept only where there are folds."""
    if config.inference.kept == "folds" and not config.split.has_folds:
        yield (
            "inference.kept: expected 'refit' without split.folds or split.leave_one_site_out, "
            "got 'folds'"
        )


def search_has_inner_folds(config: RunConfig) -> Iterator[str]:
    """Candidates are chosen by inner folds, and inner folds choose among candidates."""
    inner, candidates = config.split.inner_folds, config.search.candidates
    if candidates and inner is None:
        yield "split.inner_folds: expected a number of folds to choose search.candidates by"
    if inner is not None and not candidates:
        yield "search.candidates: expected at least two with split.inner_folds, got none"


def stopping_sees_the_whole_network(config: RunConfig) -> Iterator[str]:
    """Block after block, the network's answer means nothing before the last phase."""
    if config.trainer.early_stopping is not None and RULES[config.objective.name].sequential:
        yield (
            "trainer.early_stopping: expected null for objective "
            f"'{config.objective.name}', which trains one block after the other: no validation "
            "error of the network exists before the last one"
        )


CHECKS: tuple[Check, ...] = (
    blocks_fit_backbone,
    task_fits_data,
    method_fits_together,
    folds_are_there_to_keep,
    search_has_inner_folds,
    stopping_sees_the_whole_network,
)


def cross_checks(config: RunConfig) -> None:
    """Refuse combinations that cannot run.

    Raises:
        ConfigError: lists every problem.
    """
    if problems := [problem for check in CHECKS for problem in check(config)]:
        raise ConfigError("; ".join(problems))
