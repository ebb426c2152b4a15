"""Forward-forward: every block learns to answer right labels strongly and wrong ones weakly.

The label is written into the input, so the rule is for classes only.
Source: Hinton 2022, "The Forward-Forward Algorithm" (arXiv 2212.13345), supervised form.
Shape letters: B samples, C classes.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from brainage.core.types import Batch

if TYPE_CHECKING:
    from brainage.core.blocks import BlockChain

THRESHOLD = 2.0
"""Goodness that parts right from wrong."""
TINY = 1e-6


class UnitLength(nn.Module):
    """Scales every sample's features to a mean square of one.

    In front of every block but the first, so that a block cannot read the goodness of the block
    before it, only its direction.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, ...) to the same shape."""
        mean_square = goodness(features).reshape(-1, *[1] * (features.ndim - 1))
        return features / (mean_square + TINY).sqrt()


def goodness(features: Tensor) -> Tensor:
    """Mean square of each sample's features (B, ...), shape (B,); in float32 at least."""
    exact = features.to(torch.promote_types(features.dtype, torch.float32))
    return exact.flatten(1).square().mean(1)


def overlay_labels(inputs: Tensor, labels_B: Tensor, num_classes: int) -> Tensor:
    """Write a label into each input's first C values: zeros, and its largest value at the label.

    Args:
        inputs: (B, ...), with at least C values each.
        labels_B: class indices.
        num_classes: C.

    Raises:
        ValueError: if an input has fewer values than there are classes.
    """
    flat = inputs.flatten(1).clone()
    if flat.shape[1] < num_classes:
        raise ValueError(
            f"forward_forward writes {num_classes} classes into inputs of {flat.shape[1]} values"
        )
    flat[:, :num_classes] = F.one_hot(labels_B, num_classes).to(flat) * flat.amax(1, keepdim=True)
    return flat.reshape(inputs.shape)


def wrong_labels(labels_B: Tensor, num_classes: int) -> Tensor:
    """For every label (B,) another one, drawn at random."""
    shift = torch.randint(1, num_classes, labels_B.shape).to(labels_B)
    return (labels_B + shift) % num_classes


def contrast(batch: Batch, wrong_B: Tensor, num_classes: int) -> Batch:
    """The batch twice: with its labels written in, then with wrong ones."""
    inputs = [
        overlay_labels(batch.inputs, labels, num_classes) for labels in (batch.targets, wrong_B)
    ]
    return Batch(torch.cat(inputs), torch.cat([batch.targets, wrong_B]))


def contrast_loss(features: Tensor) -> Tensor:
    """Logistic loss of the goodness of a batch that ``contrast`` made, against the threshold."""
    right, wrong = goodness(features).chunk(2)
    return (F.softplus(THRESHOLD - right) + F.softplus(wrong - THRESHOLD)).mean()


def class_scores(chain: "BlockChain", inputs: Tensor, num_classes: int) -> list[Tensor]:
    """Scores (B, C) of every block: goodness with each class written in, summed over the blocks.

    The first block's goodness counts for its own scores only, as published: it sees the label most
    directly and says least.
    """
    per_class = []
    for label in range(num_classes):
        labels_B = torch.full((len(inputs),), label, device=inputs.device)
        outputs = chain.all_outputs(overlay_labels(inputs, labels_B, num_classes))
        per_class.append(torch.stack([goodness(block.features) for block in outputs]))
    goodness_KBC = torch.stack(per_class, -1)
    return [goodness_KBC[0], *goodness_KBC[1:].cumsum(0)]
