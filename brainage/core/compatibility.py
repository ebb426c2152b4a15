"""Settings of the method that are each in range and still do not go together.

Each problem is one line that begins with the dotted name of the setting to change, as in a run's
configuration; the names of a ``Learner``'s arguments are the same.
"""

from collections.abc import Iterator

from brainage.core.config import (
    LEADER_FOLLOWER_RULES,
    HeadConfig,
    ObjectiveConfig,
    TaskConfig,
)
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig


def conflicts(
    task: TaskConfig, objective: ObjectiveConfig, heads: HeadConfig, engine: EngineConfig
) -> Iterator[str]:
    """Every problem of these settings together."""
    yield from _distance_fits_task(task, objective)
    yield from _rule_fits_task(task, objective)
    yield from _followers_own_channels(objective, heads)
    yield from _output_block_learns(objective, heads)
    yield from _recomputing_has_one_backward_pass(objective, engine)


def refuse_conflicts(
    task: TaskConfig, objective: ObjectiveConfig, heads: HeadConfig, engine: EngineConfig
) -> None:
    """Refuse settings that cannot run.

    Raises:
        ValueError: lists every problem.
    """
    if problems := list(conflicts(task, objective, heads, engine)):
        raise ValueError("; ".join(problems))


def _distance_fits_task(task: TaskConfig, objective: ObjectiveConfig) -> Iterator[str]:
    """Followers can be compared by probabilities only where outputs are a distribution."""
    compares_outputs = objective.follower_distance in {"mse_logit", "geman_mcclure"}
    if objective.has_followers and task.name == "regression" and not compares_outputs:
        yield (
            "objective.follower_distance: expected 'geman_mcclure' or 'mse_logit' for task.name "
            "'regression', "
            f"which predicts no distribution, got '{objective.follower_distance}'"
        )


def _rule_fits_task(task: TaskConfig, objective: ObjectiveConfig) -> Iterator[str]:
    """Some rules are for classes, or need a distribution to compare with."""
    if RULES[objective.name].contrasts and task.name != "classification":
        yield (
            "objective.name: forward_forward tells right from wrong classes and cannot predict "
            f"ages; expected task.name 'classification', got '{task.name}'"
        )
    if objective.similarity_share > 0 and task.name == "regression":
        yield (
            f"task.name: expected 'soft_bins' for objective {objective.name} with a similarity "
            "loss, which compares distributions, got 'regression'"
        )


def _followers_own_channels(objective: ObjectiveConfig, heads: HeadConfig) -> Iterator[str]:
    """What needs workers that own channels of their block is refused without them."""
    shields = not objective.followers_share_global
    if shields and (objective.name != "lfnn" or heads.readout == "block"):
        yield (
            "objective.followers_share_global: false needs objective 'lfnn' and readout 'group' or "
            f"'units', got '{objective.name}' with '{heads.readout}'"
        )
    if heads.auxiliary == "none" or objective.name not in LEADER_FOLLOWER_RULES:
        return
    if heads.readout == "units":
        yield (
            "heads.auxiliary: expected 'none' with readout 'units', whose workers are the block's "
            f"own channels, got '{heads.auxiliary}'"
        )
    elif heads.readout == "group" and shields:
        yield (
            "heads.auxiliary: expected 'none' with objective.followers_share_global false, behind "
            f"it a worker owns no channel of its block, got '{heads.auxiliary}'"
        )


def _output_block_learns(objective: ObjectiveConfig, heads: HeadConfig) -> Iterator[str]:
    """Behind detached features the output block's stages learn by its workers or not at all."""
    taught = objective.name in LEADER_FOLLOWER_RULES and heads.output_block_workers
    if heads.separate_output and not taught:
        yield (
            "heads.separate_output: true leaves the stages of the output block without a loss "
            "unless it has workers (objective 'lfnn_l' or 'lfnn', heads.output_block_workers "
            f"true), got objective '{objective.name}'"
        )


def _recomputing_has_one_backward_pass(
    objective: ObjectiveConfig, engine: EngineConfig
) -> Iterator[str]:
    """Recomputation pays where one backward pass crosses all blocks."""
    rule = RULES[objective.name]
    if engine.recompute_activations and (rule.isolated or rule.workers):
        yield (
            "engine.recompute_activations: expected false for objective "
            f"'{objective.name}', whose blocks already release their activations or have "
            "losses of their own"
        )
