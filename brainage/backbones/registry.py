"""Names to builders. A new backbone is a file of its own and a line here."""

from collections.abc import Callable
from typing import Any

from torch import nn

from brainage.backbones.cifar_cnn import build_cifar_cnn
from brainage.backbones.cnn3d import build_cnn3d
from brainage.backbones.config import BackboneConfig
from brainage.backbones.densenet import build_densenet
from brainage.backbones.mlp import build_mlp
from brainage.backbones.resnet import build_resnet
from brainage.backbones.sfcn import build_sfcn
from brainage.backbones.swin import build_swin
from brainage.backbones.vgg import build_vgg
from brainage.backbones.vit import build_vit
from brainage.core.random import random_stream

Builder = Callable[[Any, tuple[int, ...]], list[nn.Module]]

BUILDERS: dict[str, Builder] = {
    "cifar_cnn": build_cifar_cnn,
    "cnn3d": build_cnn3d,
    "densenet": build_densenet,
    "mlp": build_mlp,
    "resnet": build_resnet,
    "sfcn": build_sfcn,
    "swin": build_swin,
    "vgg": build_vgg,
    "vit": build_vit,
}


def build_stages(
    config: BackboneConfig, input_shape: tuple[int, ...], seed: int
) -> list[nn.Module]:
    """The backbone as a chain of stages that can be cut anywhere.

    Args:
        config: its ``name`` chooses the builder.
        input_shape: shape of one input without the batch axis, e.g. (1, 48, 56, 48).
        seed: the initial weights depend on it alone.

    Raises:
        ValueError: if the backbone does not take inputs of that shape.
    """
    with random_stream(seed, "backbone"):
        return BUILDERS[config.name](config, input_shape)
