"""VGG networks for images and volumes."""

import math

from torch import nn

from brainage.backbones.config import VGG_LAYERS, VGGConfig
from brainage.backbones.layers import CONVOLUTIONS, MAX_POOLS, build_norm, count_axes


def build_vgg(config: VGGConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: 3x3 convolution, normalisation, ReLU and the pooling behind it; then linear layers.

    Args:
        config: variant, width and normalisation.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if an axis is too short for the poolings.
    Source: Simonyan & Zisserman 2015; VGG8b: Nokland & Eidnes 2019, whose networks use a leaky ReLU
    and dropout, which are left out here.
    """
    axes = count_axes(input_shape, config.name)
    convolutions, hidden = VGG_LAYERS[config.variant]
    stages: list[list[nn.Module]] = []
    channels_in, *spatial = input_shape
    for layer in convolutions:
        if layer == "pool":
            stages[-1].append(MAX_POOLS[axes](2))
            spatial = [size // 2 for size in spatial]
            continue
        channels = max(1, round(layer * config.width))
        convolution = CONVOLUTIONS[axes](channels_in, channels, 3, padding=1, bias=False)
        stages.append([convolution, build_norm(config.norm, channels, axes), nn.ReLU()])
        channels_in = channels
    if min(spatial) < 1:
        poolings = convolutions.count("pool")
        raise ValueError(
            f"backbone {config.variant}: {poolings} poolings need axes of at least {2**poolings}, "
            f"got {input_shape}"
        )
    size_in = channels_in * math.prod(spatial)
    for width in hidden:
        size = max(1, round(width * config.width))
        stages.append([nn.Flatten(), nn.Linear(size_in, size), nn.ReLU()])
        size_in = size
    return [nn.Sequential(*layers) for layers in stages]
