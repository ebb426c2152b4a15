"""Settings of the backbones; ``name`` chooses the family."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

Norm = Literal["group", "instance", "batch", "none"]


def _check_channels(channels: tuple[int, ...], field: str = "channels") -> None:
    require(len(channels) >= 1, field, "at least one number", channels)
    require(all(c >= 1 for c in channels), field, "positive numbers", channels)


@dataclass(frozen=True, kw_only=True)
class CNN3DConfig:
    """The paper's 3D network: one stage is convolution, ReLU, max-pooling and normalisation.

    The published form has kernel 6, no padding and batch normalisation at batch size 1; group
    normalisation is the default here because a batch of one has no batch statistics.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["cnn3d"] = "cnn3d"
    """The family."""
    channels: tuple[int, ...] = (16, 32, 64, 128)
    """Output channels of each stage."""
    kernel_size: int = 6
    """Edge of the convolution kernel, in voxels."""
    padding: Literal["valid", "same"] = "valid"
    """``valid``: no padding, as published; ``same``: the convolution keeps the size."""
    norm: Norm = "group"
    """Normalisation at the end of each stage."""

    def __post_init__(self) -> None:
        _check_channels(self.channels)
        require(self.kernel_size >= 1, "kernel_size", "at least 1", self.kernel_size)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return len(self.channels)


@dataclass(frozen=True, kw_only=True)
class SFCNConfig:
    """A simple fully convolutional network after Peng et al. 2021 (3.0 M parameters as given).

    Every stage but the last is a 3x3x3 convolution, normalisation, max-pooling (except in the
    last but one) and ReLU; the last is a 1x1x1 convolution, normalisation and ReLU.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["sfcn"] = "sfcn"
    """The family."""
    channels: tuple[int, ...] = (32, 64, 128, 256, 256, 64)
    """Output channels of each stage."""
    norm: Norm = "group"
    """Normalisation after each convolution."""

    def __post_init__(self) -> None:
        _check_channels(self.channels)
        require(len(self.channels) >= 3, "channels", "at least three stages", self.channels)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return len(self.channels)


@dataclass(frozen=True, kw_only=True)
class MLPConfig:
    """Fully connected layers on the flattened input; one stage is linear, ReLU.

    The supplement's networks end with an output layer that is a block of its own. Where workers are
    groups of a layer's units (``readout: units``), it does not say whether they are read before or
    behind the activation; ``activation`` chooses.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["mlp"] = "mlp"
    """The family."""
    hidden_sizes: tuple[int, ...] = (320, 320)
    """Width of each hidden layer."""
    output_stage: bool = False
    """Whether a stage without weights follows the hidden layers, so that the output head can be a
    block of its own."""
    activation: Literal["end", "start"] = "end"
    """Where the ReLU of a layer is: at the end of its stage, or at the start of the next one, so
    that a block's heads read the layer before it. ``start`` needs ``output_stage``."""

    def __post_init__(self) -> None:
        _check_channels(self.hidden_sizes, "hidden_sizes")
        fits = self.output_stage or self.activation == "end"
        require(fits, "activation", "'end' without output_stage", self.activation)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return len(self.hidden_sizes) + self.output_stage


@dataclass(frozen=True, kw_only=True)
class CifarCNNConfig:
    """The small convolutional network of the supplement's CIFAR-10 experiments.

    The record gives its size (876,000 parameters) and no layer list. Here: pairs of 3x3
    convolutions, each pair followed by max-pooling, then a fully connected layer; as given, 881,000
    parameters with a linear head for ten classes of 32x32 colour images.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["cifar_cnn"] = "cifar_cnn"
    """The family."""
    channels: tuple[int, ...] = (32, 32, 64, 64, 128, 128)
    """Output channels of each convolution; every second one is followed by pooling."""
    hidden_sizes: tuple[int, ...] = (288,)
    """Widths of the fully connected layers behind them."""
    norm: Norm = "batch"
    """Normalisation after each convolution."""

    def __post_init__(self) -> None:
        _check_channels(self.channels)
        sizes = self.hidden_sizes
        require(all(size >= 1 for size in sizes), "hidden_sizes", "positive numbers", sizes)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return len(self.channels) + len(self.hidden_sizes)


VGG_LAYERS: dict[str, tuple[tuple[int | Literal["pool"], ...], tuple[int, ...]]] = {
    "vgg8b": ((128, 256, "pool", 256, 512, "pool", 512, "pool", 512, "pool"), (1024,)),
    "vgg19": (
        (64, 64, "pool", 128, 128, "pool", *(256,) * 4, "pool", *(512,) * 4, "pool")
        + ((512,) * 4 + ("pool",)),
        (),
    ),
}
"""Convolutions and poolings, then fully connected layers, of each variant."""


@dataclass(frozen=True, kw_only=True)
class VGGConfig:
    """VGG networks; one stage is convolution, normalisation, ReLU and the pooling behind it.

    ``vgg8b`` is that of Nokland & Eidnes 2019, ``vgg19`` that of Simonyan & Zisserman 2015 with
    normalisation and, as usual for small images, without its two wide fully connected layers.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["vgg"] = "vgg"
    """The family."""
    variant: Literal["vgg8b", "vgg19"] = "vgg8b"
    """Which of them."""
    width: float = 1.0
    """Factor on all widths."""
    norm: Norm = "batch"
    """Normalisation after each convolution."""

    def __post_init__(self) -> None:
        require(self.width > 0, "width", "a positive number", self.width)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        convolutions, hidden = VGG_LAYERS[self.variant]
        return sum(layer != "pool" for layer in convolutions) + len(hidden)


RESNET_BLOCKS: dict[int, tuple[str, tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Kind and number of residual blocks of each depth (He et al. 2016)."""


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """Residual networks (He et al. 2016) from MONAI's; every residual block is a stage.

    In front of them the first convolution with its normalisation and ReLU is one stage and, except
    in the CIFAR stem, max-pooling another.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["resnet"] = "resnet"
    """The family."""
    depth: Literal[18, 50, 101, 152] = 18
    """Number of layers."""
    stem: Literal["imagenet", "volume", "cifar"] = "imagenet"
    """``imagenet``: 7x7 convolution with stride 2 and max-pooling. ``volume``: the same with stride
    1, MONAI's choice for volumes. ``cifar``: 3x3 convolution with stride 1 and no pooling, for
    small images."""
    width: int = 64
    """Channels of the first convolution; deeper ones follow from it."""
    norm: Norm = "batch"
    """Normalisation. ``group`` is the choice for volumes, whose batches are small."""

    def __post_init__(self) -> None:
        require(self.width >= 1, "width", "at least 1", self.width)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return sum(RESNET_BLOCKS[self.depth][1]) + (1 if self.stem == "cifar" else 2)


@dataclass(frozen=True, kw_only=True)
class DenseNetConfig:
    """Densely connected networks (Huang et al. 2017) from MONAI's; DenseNet-121 as given.

    Stages are the first convolution, max-pooling, every dense layer (which hands on its input
    beside its new channels), every transition, and the last normalisation.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["densenet"] = "densenet"
    """The family."""
    layers: tuple[int, ...] = (6, 12, 24, 16)
    """Dense layers of each dense block."""
    growth: int = 32
    """New channels of each dense layer."""
    width: int = 64
    """Channels of the first convolution."""
    norm: Norm = "batch"
    """Normalisation. ``group`` is the choice for volumes, whose batches are small."""

    def __post_init__(self) -> None:
        _check_channels(self.layers, "layers")
        for field in ("growth", "width"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return 2 + sum(self.layers) + len(self.layers) - 1 + 1


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Vision transformer (Dosovitskiy et al. 2021) from MONAI's parts; ViT-B/16 as given.

    The attention half and the MLP half of a layer are stages of their own, so that twelve layers
    can be cut into sixteen blocks. Without a class token: every block reads the tokens' mean, which
    is as accurate (Beyer et al. 2022) and means the same at every depth.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["vit"] = "vit"
    """The family."""
    patch_size: int = 16
    """Edge of a patch; it has to divide every axis of the input."""
    hidden_size: int = 768
    """Embedding dimensions."""
    mlp_size: int = 3072
    """Width inside the MLP halves."""
    num_layers: int = 12
    """Encoder layers."""
    num_heads: int = 12
    """Attention heads of each layer."""
    dropout: float = 0.0
    """Dropout in attention and MLP."""

    def __post_init__(self) -> None:
        for field in ("patch_size", "hidden_size", "mlp_size", "num_layers", "num_heads"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))
        divides = self.hidden_size % self.num_heads == 0
        require(divides, "num_heads", f"a divisor of {self.hidden_size}", self.num_heads)
        require(0 <= self.dropout < 1, "dropout", "a fraction in [0, 1)", self.dropout)

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between: patches, the halves of every layer, the last norm."""
        return 2 + 2 * self.num_layers


@dataclass(frozen=True, kw_only=True)
class SwinConfig:
    """Swin transformer encoder (Liu et al. 2021) from MONAI's; Swin-T as given.

    Stages are the patch embedding, every attention block, and every patch merging.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["swin"] = "swin"
    """The family."""
    patch_size: int = 4
    """Edge of a patch."""
    window_size: int = 7
    """Edge of the window within which tokens attend to each other."""
    width: int = 96
    """Embedding dimensions of the first level; each merging doubles them."""
    layers: tuple[int, ...] = (2, 2, 6, 2)
    """Attention blocks of each level."""
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    """Attention heads in each level."""

    def __post_init__(self) -> None:
        _check_channels(self.layers, "layers")
        fits = len(self.num_heads) == len(self.layers)
        require(fits, "num_heads", f"{len(self.layers)} numbers, as layers", self.num_heads)
        for field in ("patch_size", "window_size", "width"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return 1 + sum(self.layers) + len(self.layers)


BackboneConfig = (
    CNN3DConfig
    | SFCNConfig
    | MLPConfig
    | CifarCNNConfig
    | VGGConfig
    | ResNetConfig
    | DenseNetConfig
    | ViTConfig
    | SwinConfig
)
