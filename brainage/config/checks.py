"""Settings that are each in range and still do not go together.

A check is a function from the configuration to its problems, each beginning with the path of the
key to change. A new one goes into ``CHECKS``.
"""

from collections.abc import Callable, Iterator

from brainage.config.run import RunConfig
from brainage.core.config import LEADER_FOLLOWER_RULES
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


def distance_fits_task(config: RunConfig) -> Iterator[str]:
    """Followers can be compared by probabilities only where outputs are a distribution."""
    objective = config.objective
    compares_outputs = objective.follower_distance in {"mse_logit", "geman_mcclure"}
    if objective.has_followers and config.task.name == "regression" and not compares_outputs:
        yield (
            "objective.follower_distance: expected 'geman_mcclure' or 'mse_logit' for task.name "
            "'regression', "
            f"which predicts no distribution, got '{objective.follower_distance}'"
        )


def rule_fits_task(config: RunConfig) -> Iterator[str]:
    """Some rules are for classes, or need a distribution to compare with."""
    objective = config.objective
    if RULES[objective.name].contrasts and config.task.name != "classification":
        yield (
            "objective.name: forward_forward tells right from wrong classes and cannot predict "
            f"ages; expected task.name 'classification', got '{config.task.name}'"
        )
    if objective.similarity_share > 0 and config.task.name == "regression":
        yield (
            f"task.name: expected 'soft_bins' for objective {objective.name} with a similarity "
            "loss, which compares distributions, got 'regression'"
        )


def follower_settings_have_followers(config: RunConfig) -> Iterator[str]:
    """A readout by units owns channels; what needs that is refused without it."""
    objective, heads = config.objective, config.heads
    has_workers = objective.name in LEADER_FOLLOWER_RULES
    if not objective.followers_share_global and (
        objective.name != "lfnn" or heads.readout == "block"
    ):
        yield (
            "objective.followers_share_global: false needs objective 'lfnn' and readout 'group' or "
            f"'units', got '{objective.name}' with '{heads.readout}'"
        )
    if heads.readout == "units" and has_workers and heads.auxiliary != "none":
        yield (
            "heads.auxiliary: expected 'none' with readout 'units', whose workers are the block's "
            f"own channels, got '{heads.auxiliary}'"
        )


def recomputing_needs_one_backward_pass(config: RunConfig) -> Iterator[str]:
    """Recomputation pays where one backward pass crosses all blocks."""
    rule = RULES[config.objective.name]
    if config.engine.recompute_activations and (rule.isolated or rule.workers):
        yield (
            "engine.recompute_activations: expected false for objective "
            f"'{config.objective.name}', whose blocks already release their activations or have "
            "losses of their own"
        )


CHECKS: tuple[Check, ...] = (
    blocks_fit_backbone,
    task_fits_data,
    distance_fits_task,
    rule_fits_task,
    follower_settings_have_followers,
    recomputing_needs_one_backward_pass,
)


def cross_checks(config: RunConfig) -> None:
    """Refuse combinations that cannot run.

    Raises:
        ConfigError: lists every problem.
    """
    if problems := [problem for check in CHECKS for problem in check(config)]:
        raise ConfigError("; ".join(problems))
