"""A simple fully convolutional network for brain age."""

from torch import nn

from brainage.backbones.config import SFCNConfig
from brainage.backbones.layers import build_norm


def build_sfcn(config: SFCNConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages of 3x3x3 convolutions with pooling, then one without, then a 1x1x1 convolution.

    Args:
        config: channels and normalisation.
        input_shape: (channels, X, Y, Z) of one input; each axis is halved ``stages - 2`` times,
            rounding up, so that small grids fit.

    Source: Peng et al. 2021, Medical Image Analysis 68:101871 (their pooling rounds down).
    """
    stages: list[nn.Module] = []
    channels_in = input_shape[0]
    last = len(config.channels) - 1
    for index, channels in enumerate(config.channels):
        kernel = 1 if index == last else 3
        layers: list[nn.Module] = [
            nn.Conv3d(channels_in, channels, kernel, padding=kernel // 2, bias=False),
            build_norm(config.norm, channels),
        ]
        if index < last - 1:
            layers.append(nn.MaxPool3d(2, ceil_mode=True))
        stages.append(nn.Sequential(*layers, nn.ReLU()))
        channels_in = channels
    return stages
