"""Layers that several backbones share."""

import math

from torch import nn

from brainage.backbones.config import Norm

MOST_GROUPS = 8
"""Group normalisation uses the largest number of groups up to this that divides the channels."""

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
MAX_POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORMS = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def build_norm(norm: Norm, channels: int, num_axes: int = 3) -> nn.Module:
    """Normalisation of features with ``channels`` channels and 2 or 3 spatial axes."""
    if norm == "group":
        return nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels)
    if norm == "instance":
        return _INSTANCE_NORMS[num_axes](channels, affine=True)
    if norm == "batch":
        return _BATCH_NORMS[num_axes](channels)
    return nn.Identity()


def count_axes(input_shape: tuple[int, ...], family: str) -> int:
    """Spatial axes of an input of shape (channels, *spatial).

    Raises:
        ValueError: unless there are two or three.
    """
    axes = len(input_shape) - 1
    if axes not in CONVOLUTIONS:
        raise ValueError(
            f"backbone {family}: expected images or volumes, (channels, X, Y) or "
            f"(channels, X, Y, Z), got an input of shape {input_shape}"
        )
    return axes


def replace_batch_norms(module: nn.Module, norm: Norm) -> None:
    """Put another normalisation in the place of every batch normalisation inside the module."""
    if norm == "batch":
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            for axes, kind in _BATCH_NORMS.items():
                if isinstance(child, kind):
                    setattr(parent, name, build_norm(norm, child.num_features, axes))
