"""The paper's 3D convolutional network, one stage a convolution."""

from torch import nn

from brainage.backbones.config import CNN3DConfig
from brainage.backbones.layers import build_norm


def build_cnn3d(config: CNN3DConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: Conv3d, MaxPool3d(2), ReLU, normalisation.

    The ReLU stands behind the pooling, where it has an eighth of the voxels to look at; published
    is the other order, which computes the same values and the same gradients.

    Args:
        config: channels, kernel, padding and normalisation.
        input_shape: (channels, X, Y, Z) of one input.

    Source: supplement, brain-age experiment (kernel 6, no padding, channels 16 to 128).
    """
    stages: list[nn.Module] = []
    channels_in = input_shape[0]
    for channels in config.channels:
        padding = "same" if config.padding == "same" else 0
        stages.append(
            nn.Sequential(
                nn.Conv3d(channels_in, channels, config.kernel_size, padding=padding),
                nn.MaxPool3d(2),
                nn.ReLU(),
                build_norm(config.norm, channels),
            )
        )
        channels_in = channels
    return stages
