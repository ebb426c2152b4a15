"""Adaptive average pooling as matrices, for runtimes that do not know it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FixedPooling(nn.Module):
    """What ``nn.AdaptiveAvgPool3d`` computes, for one size of input.

    A window is a box, so that its mean is a mean along each axis after the other: three products
    with small matrices, which every format has.

    Args:
        input_shape_XYZ: of the features.
        output_shape_XYZ: pooled positions along each axis.
    """

    def __init__(self, input_shape_XYZ: Sequence[int], output_shape_XYZ: Sequence[int]) -> None:
        super().__init__()
        self.axes = [
            axis
            for axis, (size, wanted) in enumerate(
                zip(input_shape_XYZ, output_shape_XYZ, strict=True)
            )
            if size != wanted
        ]
        for axis in self.axes:
            matrix = _means(input_shape_XYZ[axis], output_shape_XYZ[axis])
            self.register_buffer(f"means{axis}", matrix, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, X, Y, Z) to the same with pooled axes."""
        for axis in self.axes:
            means = self.get_buffer(f"means{axis}")
            features = (features.movedim(axis - 3, -1) @ means).movedim(-1, axis - 3)
        return features


def fix_pooling(network: nn.Module, example: Tensor) -> None:
    """Replace every adaptive pooling in a network, which has to answer as before.

    Args:
        network: is changed.
        example: an input, from which the sizes of all features are learned.
    """
    shapes: dict[nn.Module, torch.Size] = {}
    pools = [module for module in network.modules() if isinstance(module, nn.AdaptiveAvgPool3d)]
    hooks = [
        pool.register_forward_hook(
            lambda module, inputs, _: shapes.__setitem__(module, inputs[0].shape)
        )
        for pool in pools
    ]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in shapes:
                assert isinstance(child, nn.AdaptiveAvgPool3d)
                setattr(parent, name, _fixed(child, shapes[child][-3:]))


def _fixed(pool: nn.AdaptiveAvgPool3d, shape_XYZ: torch.Size) -> FixedPooling:
    wanted = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size,) * 3
    sizes = [size if out is None else out for size, out in zip(shape_XYZ, wanted, strict=True)]
    return FixedPooling(shape_XYZ, sizes)


def _means(size: int, wanted: int) -> Tensor:
    """The matrix (size, wanted) whose columns average the windows that torch pools."""
    matrix = torch.zeros(size, wanted)
    for position in range(wanted):
        first, behind = position * size // wanted, math.ceil((position + 1) * size / wanted)
        matrix[first:behind, position] = 1 / (behind - first)
    return matrix
