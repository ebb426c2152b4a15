"""Channels innermost, where a convolution prefers them so."""

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
