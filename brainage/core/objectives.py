"""The training rules: from a block's outputs to its losses, and how far their gradients reach.

Source: supplement, tables S8 and S9. Shape letters: B samples, W workers,
C outputs of one worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from brainage.core.blocks import BlockOutputs
from brainage.core.config import FollowerDistance, ObjectiveConfig
from brainage.core.leaders import Leadership, count_leaders, select_leaders
from brainage.core.tasks import Task


class LeaderFollowerLoss(NamedTuple):
    """Scalars of one block: mean loss of its leaders, mean distance of its followers."""

    leader: Tensor
    follower: Tensor
    leadership: Leadership


def follower_distance(
    outputs_BWC: Tensor, target_B1C: Tensor, task: Task, distance: FollowerDistance
) -> Tensor:
    """Distance D of every worker's output from the target output, shape (B, W).

    ``mse_probability`` and ``kl`` compare distributions, which bounds what one worker can ask of
    another; ``mse_logit`` compares plain outputs.

    Raises:
        ValueError: if probabilities are asked for where outputs are no distribution.
    """
    if distance == "mse_logit":
        return (outputs_BWC - target_B1C).square().mean(-1)
    log_p = task.log_probability(outputs_BWC)
    log_q = task.log_probability(target_B1C)
    if log_p is None or log_q is None:
        raise ValueError(f"follower_distance {distance} needs outputs that are a distribution")
    if distance == "kl":
        return (log_q.exp() * (log_q - log_p)).sum(-1)
    return (log_p.exp() - log_q.exp()).square().mean(-1)


def leader_follower_loss(
    workers_BWC: Tensor, targets_B: Tensor, task: Task, config: ObjectiveConfig
) -> LeaderFollowerLoss:
    """Losses of one block's workers.

    Args:
        workers_BWC: outputs of the workers.
        targets_B: ages in years or class indices.
        task: how outputs are read.
        config: leader fraction, selection and distance.

    Returns:
        The leaders' mean prediction loss; the followers' mean distance from the best leader's
        output, which carries no gradient (zero when everyone leads); and who leads.
    Source: supplement, "LFNN-l": leader loss L^delta, follower loss L^(1-delta).
    """
    losses_BW = task.prediction_loss(
        workers_BWC, targets_B[:, None].expand(workers_BWC.shape[:2]).contiguous()
    )
    leadership = select_leaders(losses_BW, config.leader_fraction, config.selection)
    leaders_BW = leadership.leaders_BW
    num_workers = losses_BW.shape[1]
    num_leaders = count_leaders(num_workers, config.leader_fraction)
    if num_leaders == num_workers:
        leader = losses_BW.mean()
        return LeaderFollowerLoss(leader, torch.zeros_like(leader), leadership)
    leader = _masked_mean(losses_BW, leaders_BW, num_leaders)
    index_B11 = leadership.best_B[:, None, None].expand(-1, 1, workers_BWC.shape[2])
    best_B1C = workers_BWC.gather(1, index_B11).detach()
    distance_BW = follower_distance(workers_BWC, best_B1C, task, config.follower_distance)
    follower = _masked_mean(distance_BW, ~leaders_BW, num_workers - num_leaders)
    return LeaderFollowerLoss(leader, follower, leadership)


def _masked_mean(values_BW: Tensor, mask_BW: Tensor, num_per_row: int) -> Tensor:
    """Mean over the marked entries; their number is known, so no device has to be asked."""
    return (values_BW * mask_BW).sum() / (values_BW.shape[0] * num_per_row)


@dataclass(frozen=True)
class BlockLoss:
    """Losses of one block and where their gradients go.

    ``own``: differentiated for the block's own parameters only. ``shared``: differentiated through
    every block before it. None where the rule has no such loss. ``parts`` is for the record: the
    losses by name, and their weighted sum as ``loss``.
    """

    own: Tensor | None
    shared: Tensor | None
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """A training rule.

    Args:
        config: which rule, and its weights.
        task: how outputs are read.
        num_blocks: K.
    """

    config: ObjectiveConfig
    task: Task
    num_blocks: int

    @property
    def isolated(self) -> bool:
        """Whether no gradient crosses a block boundary."""
        return self.config.name == "lfnn_l"

    @property
    def needs_workers(self) -> bool:
        """Whether blocks have leader and follower workers."""
        return self.config.name in {"lfnn", "lfnn_l"}

    @property
    def supervises_every_block(self) -> bool:
        """Whether every block's output head teaches the network (``bp_deep_supervision``)."""
        return self.config.name == "bp_deep_supervision"

    def block_loss(self, block: int, outputs: BlockOutputs, targets_B: Tensor) -> BlockLoss:
        """Losses of block ``block`` (0-based) for one batch."""
        parts: dict[str, Tensor] = {}
        own: list[Tensor] = []
        shared: list[Tensor] = []
        if outputs.workers_BWC is not None:
            local = leader_follower_loss(outputs.workers_BWC, targets_B, self.task, self.config)
            parts["leader_loss"], parts["follower_loss"] = local.leader, local.follower
            own.append(self.config.leader_weight * local.leader)
            own.append(self.config.follower_weight * local.follower)
        if outputs.prediction_BC is not None:
            loss = self.task.prediction_loss(outputs.prediction_BC, targets_B).mean()
            parts["output_loss"] = loss
            own_scope, weight = self._output_scope(block)
            (own if own_scope else shared).append(loss if weight == 1 else weight * loss)
        total = _total([*own, *shared])
        if total is not None:
            parts["loss"] = total
        return BlockLoss(_total(own), _total(shared), parts)

    def _output_scope(self, block: int) -> tuple[bool, float]:
        """Whether an output head's loss stays in its block, and its weight.

        A hidden block's head reads detached features (a probe) unless the rule supervises every
        block, so its loss reaches the head alone.
        """
        is_output_block = block == self.num_blocks - 1
        if self.isolated:
            return True, 1.0
        if is_output_block:
            return False, 1.0
        if self.supervises_every_block:
            return False, self.config.deep_supervision_weight
        return True, 1.0


def _total(terms: Sequence[Tensor]) -> Tensor | None:
    """Sum of the terms; None of none. A single term stays bit for bit what it was."""
    if not terms:
        return None
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
