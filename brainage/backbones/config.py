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
    """Fully connected layers on the flattened input; one stage is linear, ReLU."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["mlp"] = "mlp"
    """The family."""
    hidden_sizes: tuple[int, ...] = (320, 320)
    """Width of each hidden layer."""

    def __post_init__(self) -> None:
        _check_channels(self.hidden_sizes, "hidden_sizes")

    @property
    def num_stages(self) -> int:
        """Stages that can be cut between."""
        return len(self.hidden_sizes)


BackboneConfig = CNN3DConfig | SFCNConfig | MLPConfig
