"""Densely connected networks for images and volumes: MONAI's, taken apart."""

from torch import nn

from brainage.backbones.config import DenseNetConfig
from brainage.backbones.layers import count_axes, replace_batch_norms


def build_densenet(config: DenseNetConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: first convolution; max-pooling; dense layers and transitions; last normalisation.

    Args:
        config: layers, growth, width and normalisation.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if the input is neither.
    Source: Huang et al. 2017.
    """
    axes = count_axes(input_shape, config.name)
    # Here, because MONAI takes seconds and half of all packages along.
    from monai.networks.nets.densenet import DenseNet  # noqa: PLC0415

    network = DenseNet(
        spatial_dims=axes,
        in_channels=input_shape[0],
        out_channels=1,
        init_features=config.width,
        growth_rate=config.growth,
        block_config=config.layers,
    )
    replace_batch_norms(network, config.norm)
    parts = dict(network.features.named_children())
    stages: list[nn.Module] = [
        nn.Sequential(parts["conv0"], parts["norm0"], nn.ReLU()),
        parts["pool0"],
    ]
    for level in range(1, len(config.layers) + 1):
        stages += list(parts[f"denseblock{level}"].children())
        if level < len(config.layers):
            stages.append(parts[f"transition{level}"])
    return [*stages, nn.Sequential(parts["norm5"], nn.ReLU())]
