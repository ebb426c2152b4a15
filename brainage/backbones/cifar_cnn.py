"""The supplement's small network for CIFAR-10, as far as the record describes it."""

import math

from torch import nn

from brainage.backbones.config import CifarCNNConfig
from brainage.backbones.layers import CONVOLUTIONS, MAX_POOLS, build_norm, count_axes


def build_cifar_cnn(config: CifarCNNConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: 3x3 convolution, normalisation, ReLU; after every second, max-pooling; then linear.

    Args:
        config: channels, widths and normalisation.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if an axis is too short for the poolings.
    """
    axes = count_axes(input_shape, config.name)
    stages: list[nn.Module] = []
    channels_in, *spatial = input_shape
    for index, channels in enumerate(config.channels):
        layers: list[nn.Module] = [
            CONVOLUTIONS[axes](channels_in, channels, 3, padding=1),
            build_norm(config.norm, channels, axes),
            nn.ReLU(),
        ]
        if index % 2 == 1:
            layers.append(MAX_POOLS[axes](2))
            spatial = [size // 2 for size in spatial]
        stages.append(nn.Sequential(*layers))
        channels_in = channels
    if min(spatial) < 1:
        raise ValueError(
            f"backbone {config.name}: {len(config.channels) // 2} poolings need axes of at least "
            f"{2 ** (len(config.channels) // 2)}, got {input_shape}"
        )
    size_in = channels_in * math.prod(spatial)
    for index, size in enumerate(config.hidden_sizes):
        flatten: list[nn.Module] = [nn.Flatten()] if index == 0 else []
        stages.append(nn.Sequential(*flatten, nn.Linear(size_in, size), nn.ReLU()))
        size_in = size
    return stages
