"""Settings that are each in range and still do not go together.

A check is a function from the configuration to its problems, each beginning with the path of the
key to change. A new one goes into ``CHECKS``.
"""

from collections.abc import Callable, Iterator

from brainage.backbones.config import MLPConfig
from brainage.config.run import RunConfig
from brainage.errors import ConfigError

Check = Callable[[RunConfig], Iterator[str]]


def _num_stages(config: RunConfig) -> int:
    backbone = config.backbone
    sizes = backbone.hidden_sizes if isinstance(backbone, MLPConfig) else backbone.channels
    return len(sizes)


def blocks_fit_backbone(config: RunConfig) -> Iterator[str]:
    """Every block needs a stage."""
    stages, blocks = _num_stages(config), config.blocks
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


def workers_share_channels(config: RunConfig) -> Iterator[str]:
    """With ``group`` readout every worker reads as many channels."""
    heads, backbone = config.heads, config.backbone
    if heads.readout != "group" or config.objective.name not in {"lfnn", "lfnn_l"}:
        return
    sizes = backbone.hidden_sizes if isinstance(backbone, MLPConfig) else backbone.channels
    odd = [size for size in sizes if size % heads.num_lf_workers]
    if odd:
        yield (
            f"heads.num_lf_workers: expected a divisor of every stage's channels {list(sizes)} "
            f"with readout 'group', got {heads.num_lf_workers}"
        )


CHECKS: tuple[Check, ...] = (
    blocks_fit_backbone,
    task_fits_data,
    distance_fits_task,
    workers_share_channels,
)


def cross_checks(config: RunConfig) -> None:
    """Refuse combinations that cannot run.

    Raises:
        ConfigError: lists every problem.
    """
    if problems := [problem for check in CHECKS for problem in check(config)]:
        raise ConfigError("; ".join(problems))
