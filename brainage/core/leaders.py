"""Who leads: the workers with the lowest prediction loss.

Shape letters: B samples, W workers.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

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
    losses_BW: Tensor, leader_fraction: float, selection: LeaderSelection = "sample"
) -> Leadership:
    """Mark the workers with the lowest prediction loss as leaders.

    Args:
        losses_BW: prediction loss per sample and worker; lower is better. Not differentiated.
        leader_fraction: delta in (0, 1]; ceil(delta * W) leaders are kept.
        selection: ``sample`` chooses for each sample, ``batch`` by the batch's mean loss.

    Returns:
        The mask, shape (B, W) with exactly k True in every row, and the best leader, shape (B,).
        Equal losses go to the lower worker index.

    Raises:
        ValueError: if the fraction is outside (0, 1].
    Source: supplement, "Leadership" (lowest prediction error leads).
    """
    num_leaders = count_leaders(losses_BW.shape[1], leader_fraction)
    losses = losses_BW.detach()
    if selection == "batch":
        losses = losses.mean(dim=0, keepdim=True).expand_as(losses)
    # A stable sort, since topk leaves the order of equal values open.
    order = losses.sort(dim=1, stable=True).indices
    mask = torch.zeros_like(losses, dtype=torch.bool)
    mask.scatter_(1, order[:, :num_leaders], value=True)
    return Leadership(mask, order[:, 0])
