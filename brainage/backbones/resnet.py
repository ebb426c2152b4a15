"""Residual networks for images and volumes: MONAI's, taken apart."""

from typing import Any

from torch import nn

from brainage.backbones.config import RESNET_BLOCKS, ResNetConfig
from brainage.backbones.layers import count_axes, replace_batch_norms


def build_resnet(config: ResNetConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: first convolution with normalisation and ReLU; max-pooling; each residual block.

    Args:
        config: depth, stem, width and normalisation.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if the input is neither.
    Source: He et al. 2016; the stem without pooling is the supplement's for CIFAR-10.
    """
    axes = count_axes(input_shape, config.name)
    # Here, because MONAI takes seconds and half of all packages along.
    from monai.networks.nets.resnet import ResNet  # noqa: PLC0415

    kind, layers = RESNET_BLOCKS[config.depth]
    stem: dict[str, Any] = {
        "conv1_t_size": 3 if config.stem == "cifar" else 7,
        "conv1_t_stride": 2 if config.stem == "imagenet" else 1,
        "no_max_pool": config.stem == "cifar",
    }
    network = ResNet(
        kind,
        list(layers),
        [config.width * factor for factor in (1, 2, 4, 8)],
        spatial_dims=axes,
        n_input_channels=input_shape[0],
        feed_forward=False,
        bias_downsample=False,
        **stem,
    )
    # MONAI's own argument for it leaves the residual blocks with batch normalisation.
    replace_batch_norms(network, config.norm)
    stages: list[nn.Module] = [nn.Sequential(network.conv1, network.bn1, nn.ReLU())]
    if config.stem != "cifar":
        stages.append(network.maxpool)
    for level in (network.layer1, network.layer2, network.layer3, network.layer4):
        stages += list(level)
    return stages
