"""Layers that several backbones share."""

import math

from torch import nn

from brainage.backbones.config import Norm

MOST_GROUPS = 8
"""Group normalisation uses the largest number of groups up to this that divides the channels."""


def build_norm(norm: Norm, channels: int) -> nn.Module:
    """Normalisation of 3D features with ``channels`` channels."""
    if norm == "group":
        return nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels)
    if norm == "instance":
        return nn.InstanceNorm3d(channels, affine=True)
    if norm == "batch":
        return nn.BatchNorm3d(channels)
    return nn.Identity()
