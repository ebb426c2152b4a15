"""Losses for the record: of a part of a batch, of a batch, of an epoch, of all devices."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

BlockParts = dict[str, Tensor]
"""Losses of one block by name: detached scalars, times the share of the batch they come from."""


def scaled(loss: Tensor, share: float) -> Tensor:
    """The loss by its share of the batch; a whole batch's loss stays bit for bit what it is."""
    return loss if share == 1 else loss * share


def weighted_parts(parts: Mapping[str, Tensor], share: float) -> BlockParts:
    """Losses by their share of the batch."""
    return {name: scaled(value, share) for name, value in parts.items()}


def summed_parts(reports: Sequence[Sequence[BlockParts]]) -> list[BlockParts]:
    """For each block, losses of a batch from those of its parts, weighted by their shares."""
    return [_summed(parts) for parts in zip(*reports, strict=True)]


def _summed(parts: Sequence[BlockParts]) -> BlockParts:
    names = {name: None for part in parts for name in part}
    return {
        name: torch.stack([part[name] for part in parts if name in part]).sum(0) for name in names
    }


def mean_losses(reports: Sequence[Sequence[BlockParts]], first_block: int = 0) -> dict[str, float]:
    """Mean of every loss over an epoch's steps, under the names of the closed list.

    Args:
        reports: of each step, the losses of each block.
        first_block: index of the first of these blocks in the whole network.
    """
    metrics: dict[str, float] = {}
    for index, block in enumerate(zip(*reports, strict=True)):
        for name, total in _summed(block).items():
            metrics[f"train/block{first_block + index + 1}/{name}"] = float(total) / len(block)
    return metrics


def joined_losses(of_ranks: Sequence[Mapping[str, float]], num_blocks: int) -> dict[str, float]:
    """The whole network's losses from what each rank has of them.

    Ranks that share the samples of a block each have their share of its losses. ``train/loss`` is
    that of the last block that has one: of the network's own output, unless blocks train one after
    the other or contrast labels.
    """
    metrics: dict[str, float] = {}
    for losses in of_ranks:
        for name, value in losses.items():
            metrics[name] = metrics.get(name, 0.0) + value
    for block in range(num_blocks):
        for part in ("output_loss", "loss"):
            if (name := f"train/block{block + 1}/{part}") in metrics:
                metrics["train/loss"] = metrics[name]
                break
    return metrics
