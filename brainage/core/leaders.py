"""Who leads: the workers with the lowest prediction loss.

Shape letters: B samples, W workers.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainage.core.config import LeaderSelection


class Leadership(NamedTuple):
    """``leaders_BW``: boolean, the leaders of each sample; ``best_B``: index of the best leader."""

    leaders_BW: Tensor
    best_B: Tensor


def count_leaders(num_workers: int, leader_fraction: float) -> int:
    """Number of leaders k = ceil(delta * W), at least one.

    The product is rounded to nine decimals first, so that 0.1 * 30 workers are 3 and not
    ceil(3.0000000000000004) = 4.

    Raises:
        ValueError: if the fraction is outside (0, 1] or there is no worker.
    """
    if not 0 < leader_fraction <= 1:
        raise ValueError(f"leader_fraction must be in (0, 1], got {leader_fraction}")
    if num_workers < 1:
        raise ValueError(f"at least one worker is needed, got {num_workers}")
    return max(1, math.ceil(round(leader_fraction * num_workers, 9)))


def select_leaders(
    losses_BW: Tensor,
    leader_fraction: float,
    selection: LeaderSelection = "sample",
    history: "LossHistory | None" = None,
) -> Leadership:
    """Mark the workers with the lowest prediction loss as leaders.

    Args:
        losses_BW: prediction loss per sample and worker; lower is better. Not differentiated.
        leader_fraction: delta in (0, 1]; ceil(delta * W) leaders are kept.
        selection: ``sample`` chooses for each sample, ``batch`` by the batch's mean loss,
            ``running`` and ``epoch`` by what ``history`` holds.
        history: remembers losses; it takes in these first. Needed for ``running`` and ``epoch``.

    Returns:
        The mask, shape (B, W) with exactly k True in every row, and the best leader, shape (B,).
        Equal losses go to the lower worker index.

    Raises:
        ValueError: if the fraction is outside (0, 1], or a history is needed and missing.
    Source: supplement, "Leadership" (lowest prediction error leads).
    """
    num_leaders = count_leaders(losses_BW.shape[1], leader_fraction)
    losses = losses_BW.detach()
    if selection != "sample":
        losses = _shared_losses(losses, selection, history).expand_as(losses)
    # A stable sort, since topk leaves the order of equal values open.
    order = losses.sort(dim=1, stable=True).indices
    mask = torch.zeros_like(losses, dtype=torch.bool)
    mask.scatter_(1, order[:, :num_leaders], value=True)
    return Leadership(mask, order[:, 0])


def _shared_losses(
    losses_BW: Tensor, selection: LeaderSelection, history: "LossHistory | None"
) -> Tensor:
    """One loss for each worker, shape (1, W), by which the whole batch chooses."""
    if selection == "batch":
        return losses_BW.mean(dim=0, keepdim=True)
    if history is None:
        raise ValueError(f"selection {selection} needs a history of losses")
    history.observe(losses_BW)
    ranking_W = history.running_W if selection == "running" else history.last_epoch_W
    return ranking_W[None].to(losses_BW.dtype)


class LossHistory(nn.Module):
    """What a block remembers of its workers' losses, as buffers: it is saved with the block.

    ``running_W``: exponential running mean over batches. ``last_epoch_W``: mean over the samples of
    the last whole epoch; during the first epoch, the mean of the latest batch.

    Args:
        num_workers: W.
        decay: of the running mean, per batch.
    """

    running_W: Tensor
    last_epoch_W: Tensor
    epoch_sum_W: Tensor
    num_samples: Tensor
    num_batches: Tensor
    num_epochs: Tensor

    def __init__(self, num_workers: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        for name in ("running_W", "last_epoch_W", "epoch_sum_W"):
            self.register_buffer(name, torch.zeros(num_workers))
        for name in ("num_samples", "num_batches", "num_epochs"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def observe(self, losses_BW: Tensor) -> None:
        """Take in the losses of one batch, shape (B, W)."""
        mean_W = losses_BW.mean(0).to(self.running_W)
        kept = torch.where(self.num_batches > 0, self.decay, 0.0)
        self.running_W.copy_(kept * self.running_W + (1 - kept) * mean_W)
        self.epoch_sum_W += losses_BW.sum(0)
        self.num_samples += len(losses_BW)
        self.num_batches += 1
        self.last_epoch_W.copy_(torch.where(self.num_epochs > 0, self.last_epoch_W, mean_W))

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Close an epoch: its mean now ranks the workers. Nothing happens without a batch."""
        if int(self.num_samples) == 0:
            return
        self.last_epoch_W.copy_(self.epoch_sum_W / self.num_samples)
        self.epoch_sum_W.zero_()
        self.num_samples.zero_()
        self.num_epochs += 1
