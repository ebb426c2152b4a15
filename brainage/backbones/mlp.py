"""Fully connected layers."""

import math

from torch import nn

from brainage.backbones.config import MLPConfig


def build_mlp(config: MLPConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: linear, ReLU. The first flattens an input of any shape.

    Args:
        config: widths.
        input_shape: shape of one input without the batch axis.
    """
    stages: list[nn.Module] = []
    size_in = math.prod(input_shape)
    for size in config.hidden_sizes:
        layers: list[nn.Module] = [] if stages else [nn.Flatten()]
        stages.append(nn.Sequential(*layers, nn.Linear(size_in, size), nn.ReLU()))
        size_in = size
    return stages
