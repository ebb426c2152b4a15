"""Channels innermost, where a convolution prefers them so."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Memory format by number of axes."""


def use_channels_last(network: nn.Module) -> None:
    """Lay out the weights of convolutions with channels innermost.

    A first convolution of one channel is in both layouts at once; strides that say which make its
    output, and so all that follows, come in the wanted one.
    """
    for parameter in network.parameters():
        if (layout := CHANNELS_LAST.get(parameter.ndim)) is not None:
            innermost = torch.empty(
                parameter.shape,
                dtype=parameter.dtype,
                device=parameter.device,
                memory_format=layout,
            )
            parameter.data = innermost.copy_(parameter.data)


def with_channels_last(inputs: Tensor) -> Tensor:
    """Images or volumes with channels innermost; other tensors as they are."""
    layout = CHANNELS_LAST.get(inputs.ndim)
    return inputs if layout is None else inputs.contiguous(memory_format=layout)


def laid_out_as(parameter: nn.Parameter, gradient: Tensor) -> Tensor:
    """A gradient in the memory layout of its parameter.

    A fused step of torch walks through memory and does not look at strides: with a gradient in
    another layout each weight would get another one's, without an error.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def lay_out_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every gradient the layout of its parameter, as a backward pass does by itself.

    A sum over ranks, which sends plain vectors, does not; nor does ``torch.autograd.grad``.
    """
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = laid_out_as(parameter, parameter.grad)
