"""A block's forward pass that keeps its boundary alone and is computed again when needed."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from brainage.core.blocks import Block, BlockOutputs


def recomputed(block: Block, inputs: Tensor) -> BlockOutputs:
    """The block's outputs, with activations that the backward pass computes again."""
    outputs: BlockOutputs = checkpoint(
        block,
        inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _without_statistics(block)),
    )
    return outputs


@contextmanager
def _without_statistics(block: Block) -> Iterator[None]:
    """Leave running statistics alone: a recomputed forward pass has been counted already."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches
