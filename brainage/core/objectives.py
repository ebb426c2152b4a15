"""From a block's outputs to its losses.

Source: supplement, tables S8 and S9. Shape letters: B samples, W workers,
C outputs of one worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from brainage.core.blocks import BlockOutputs
from brainage.core.config import FollowerDistance, ObjectiveConfig
from brainage.core.forward_forward import contrast_loss
from brainage.core.leaders import Leadership, LossHistory, count_leaders, select_leaders
from brainage.core.rules import RULES, Rule
from brainage.core.similarity import similarity_matching_loss
from brainage.core.tasks import Task

TINY = 1e-12


class LeaderFollowerLoss(NamedTuple):
    """Scalars of one block: mean loss of its leaders, mean distance of its followers."""

    leader: Tensor
    follower: Tensor
    leadership: Leadership
    everyone_leads: bool = False


def follower_distance(
    outputs_BWC: Tensor, target_B1C: Tensor, task: Task, distance: FollowerDistance
) -> Tensor:
    """Distance D of every worker's output from the target output, shape (B, W).

    ``mse_probability`` and ``kl`` compare distributions, which bounds what one worker can ask of
    another. ``mse_logit`` compares plain outputs. ``geman_mcclure`` is d / (d + s) of the squared
    distance d of plain outputs, with s the mean of d over the batch, not differentiated: between 0
    and 1, the same when all outputs are rescaled, and with a gradient that fades far away.

    Raises:
        ValueError: if probabilities are asked for where outputs are no distribution.
    """
    if distance in {"mse_logit", "geman_mcclure"}:
        squared = (outputs_BWC - target_B1C).square().mean(-1)
        if distance == "mse_logit":
            return squared
        return squared / (squared + squared.detach().mean() + TINY)
    log_p = task.log_probability(outputs_BWC)
    log_q = task.log_probability(target_B1C)
    if log_p is None or log_q is None:
        raise ValueError(f"follower_distance {distance} needs outputs that are a distribution")
    if distance == "kl":
        return (log_q.exp() * (log_q - log_p)).sum(-1)
    return (log_p.exp() - log_q.exp()).square().mean(-1)


def leader_follower_loss(
    workers_BWC: Tensor,
    targets_B: Tensor,
    task: Task,
    config: ObjectiveConfig,
    *,
    leader_fraction: float | None = None,
    history: LossHistory | None = None,
    losses_BW: Tensor | None = None,
) -> LeaderFollowerLoss:
    """Losses of one block's workers.

    Args:
        workers_BWC: outputs of the workers.
        targets_B: ages in years or class indices.
        task: how outputs are read.
        config: leader fraction, selection and distance.
        leader_fraction: delta of this moment; the configuration's when left out.
        history: memory of the workers' losses, for selection by epoch or running mean.
        losses_BW: the workers' prediction losses, where they are known already.

    Returns:
        The leaders' mean prediction loss; the followers' mean distance from the best leader's
        output, which carries no gradient (zero when everyone leads); and who leads.
    Source: supplement, "LFNN-l": leader loss L^delta, follower loss L^(1-delta).
    """
    fraction = config.leader_fraction if leader_fraction is None else leader_fraction
    if losses_BW is None:
        losses_BW = task.prediction_loss(workers_BWC, targets_B[:, None])
    leadership = select_leaders(losses_BW, fraction, config.selection, history)
    num_workers = losses_BW.shape[1]
    num_leaders = count_leaders(num_workers, fraction)
    if num_leaders == num_workers:
        leader = losses_BW.mean()
        return LeaderFollowerLoss(leader, leader.new_zeros(()), leadership, everyone_leads=True)
    leader = _masked_mean(losses_BW, leadership.leaders_BW, num_leaders)
    index_B11 = leadership.best_B[:, None, None].expand(-1, 1, workers_BWC.shape[2])
    best_B1C = workers_BWC.gather(1, index_B11).detach()
    distance_BW = follower_distance(workers_BWC, best_B1C, task, config.follower_distance)
    follower = _masked_mean(distance_BW, ~leadership.leaders_BW, num_workers - num_leaders)
    return LeaderFollowerLoss(leader, follower, leadership)


def _masked_mean(values_BW: Tensor, mask_BW: Tensor, num_per_row: int) -> Tensor:
    """Mean over the marked entries; their number is known, so no device has to be asked."""
    return (values_BW * mask_BW).sum() / (values_BW.shape[0] * num_per_row)


@dataclass(frozen=True)
class BlockLoss:
    """Losses of one block and where their gradients go.

    ``own``: differentiated for the block's own parameters only. ``shared``: differentiated through
    every block before it. None where the rule has no such loss. ``parts`` is for the record: the
    losses by name, and their weighted sum as ``loss``. ``leaders_BW``: where set, the network's
    loss reaches the block's features through the channels of these workers alone.
    """

    own: Tensor | None
    shared: Tensor | None
    parts: dict[str, Tensor]
    leaders_BW: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """A training rule at work.

    Args:
        config: which rule, and its weights.
        task: how outputs are read.
        num_blocks: K.
    """

    config: ObjectiveConfig
    task: Task
    num_blocks: int

    @property
    def rule(self) -> Rule:
        """Traits of the rule."""
        return RULES[self.config.name]

    @property
    def num_phases(self) -> int:
        """How often the whole schedule runs."""
        return self.rule.num_phases(self.num_blocks)

    def leader_fraction(self, progress: float) -> float:
        """Delta after this share of training, in [0, 1]."""
        first, final = self.config.leader_fraction, self.config.final_leader_fraction
        return first if final is None else first + (final - first) * progress

    def follower_weight(self, progress: float) -> float:
        """lambda_2 after this share of training, in [0, 1]."""
        warmup = self.config.follower_warmup_fraction
        risen = 1.0 if progress >= warmup else progress / warmup
        return self.config.follower_weight * risen

    def block_loss(
        self,
        block: int,
        outputs: BlockOutputs,
        targets_B: Tensor,
        *,
        progress: float = 0.0,
        history: LossHistory | None = None,
    ) -> BlockLoss:
        """Losses of block ``block`` (0-based) for one batch.

        Args:
            block: its index.
            outputs: what it gave for the batch.
            targets_B: ages in years or class indices.
            progress: share of training that is over.
            history: the block's memory of losses, if its rule keeps one.
        """
        if self.rule.contrasts:
            loss = contrast_loss(outputs.features)
            return BlockLoss(loss, None, {"loss": loss})
        parts: dict[str, Tensor] = {}
        own: list[Tensor] = []
        probes: list[Tensor] = []
        shared: list[Tensor] = []
        leaders_BW = None
        losses_BW, losses_B = self._prediction_losses(outputs, targets_B)
        if outputs.workers_BWC is not None:
            local = leader_follower_loss(
                outputs.workers_BWC,
                targets_B,
                self.task,
                self.config,
                leader_fraction=self.leader_fraction(progress),
                history=history,
                losses_BW=losses_BW,
            )
            parts["leader_loss"], parts["follower_loss"] = local.leader, local.follower
            own.append(_weighted(self.config.leader_weight, local.leader))
            if not local.everyone_leads:
                own.append(_weighted(self.follower_weight(progress), local.follower))
            if not self.config.followers_share_global:
                leaders_BW = local.leadership.leaders_BW
        if losses_B is not None:
            loss = losses_B.mean()
            parts["output_loss"] = loss
            scope, weight = self._output_scope(block)
            {"own": own, "probe": probes, "shared": shared}[scope].append(_weighted(weight, loss))
        if outputs.similarity_BF is not None:
            own = self._with_similarity(own, outputs.similarity_BF, targets_B, parts)
        own += probes
        total = _total([*own, *shared])
        if total is not None:
            parts["loss"] = total
        return BlockLoss(_total(own), _total(shared), parts, leaders_BW)

    def _prediction_losses(
        self, outputs: BlockOutputs, targets_B: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Losses (B, W) of the workers and (B,) of the output head, those that the block has.

        Both at once: in a small network the number of operations is what a loss costs.
        """
        workers_BWC, prediction_BC = outputs.workers_BWC, outputs.prediction_BC
        targets_B1 = targets_B[:, None]
        if prediction_BC is None or workers_BWC is None:
            return (
                None if workers_BWC is None else self.task.prediction_loss(workers_BWC, targets_B1),
                None
                if prediction_BC is None
                else self.task.prediction_loss(prediction_BC, targets_B),
            )
        together = torch.cat([workers_BWC, prediction_BC[:, None]], dim=1)
        losses = self.task.prediction_loss(together, targets_B1)
        return losses[:, :-1], losses[:, -1]

    def _with_similarity(
        self,
        own: list[Tensor],
        similarity_BF: Tensor,
        targets_B: Tensor,
        parts: dict[str, Tensor],
    ) -> list[Tensor]:
        """The block's own losses and the similarity loss, by their shares."""
        target_BC = self.task.target_distribution(targets_B)
        assert target_BC is not None, "the configuration refuses targets without a distribution"
        loss = similarity_matching_loss(similarity_BF, target_BC)
        parts["similarity_loss"] = loss
        share = self.config.similarity_share
        return [*((1 - share) * term for term in own), share * loss]

    def _output_scope(self, block: int) -> tuple[Literal["own", "probe", "shared"], float]:
        """Whom an output head's loss teaches, and its weight.

        A hidden block's probe reads detached features, so its loss reaches the head alone.
        """
        is_hidden = block < self.num_blocks - 1
        if is_hidden and self.rule.hidden_outputs == "probe":
            return "probe", 1.0
        if self.rule.isolated:
            return "own", 1.0
        return "shared", self.config.deep_supervision_weight if is_hidden else 1.0


def _weighted(weight: float, loss: Tensor) -> Tensor:
    """The loss times its weight; one of weight one stays bit for bit what it is."""
    return loss if weight == 1 else weight * loss


def _total(terms: Sequence[Tensor]) -> Tensor | None:
    """Sum of the terms; None of none. A single term stays bit for bit what it was."""
    if not terms:
        return None
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
