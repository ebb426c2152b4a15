"""Fully connected layers."""

import math

from torch import nn

from brainage.backbones.config import MLPConfig


def build_mlp(config: MLPConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: linear, ReLU. The first flattens an input of any shape.

    Args:
        config: widths, and where the ReLU of a layer is.
        input_shape: shape of one input without the batch axis.
    """
    ends = config.activation == "end"
    stages: list[nn.Module] = []
    size_in = math.prod(input_shape)
    for size in config.hidden_sizes:
        before: list[nn.Module] = [nn.Flatten()] if not stages else [] if ends else [nn.ReLU()]
        after = [nn.ReLU()] if ends else []
        stages.append(nn.Sequential(*before, nn.Linear(size_in, size), *after))
        size_in = size
    if config.output_stage:
        stages.append(nn.Sequential(nn.Identity() if ends else nn.ReLU()))
    return stages
