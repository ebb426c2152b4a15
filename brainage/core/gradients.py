"""Gradients that take another way than a plain backward pass."""

import torch
from torch import Tensor

from brainage.core.blocks import Block
from brainage.core.memory_layout import laid_out_as


def add_own_gradients(block: Block, loss: Tensor) -> None:
    """Differentiate a block's own loss for that block's parameters alone.

    The graph is kept, because the network's loss still has to come back through it.
    """
    parameters = [p for p in block.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            own = laid_out_as(parameter, gradient)
            parameter.grad = own if parameter.grad is None else parameter.grad + own


def keep_for_leaders(features: Tensor, leaders_BW: Tensor) -> None:
    """From now on, let gradients pass the features (B, channels, ...) in leaders' channels only."""
    per_worker = features.shape[1] // leaders_BW.shape[1]
    mask = leaders_BW.repeat_interleave(per_worker, 1)
    mask = mask.reshape(*mask.shape, *[1] * (features.ndim - 2))
    features.register_hook(lambda gradient: gradient * mask)  # type: ignore[no-untyped-call]
