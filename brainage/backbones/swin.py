"""Swin transformer encoder for images and volumes: MONAI's, taken apart.

Between stages features are maps (B, channels, *grid), as everywhere.
"""

import math

from torch import Tensor, nn

from brainage.backbones.config import SwinConfig
from brainage.backbones.layers import count_axes


class SwinAttention(nn.Module):
    """One attention block on a map (B, channels, *grid).

    Args:
        block: MONAI's block, which works on channels-last maps.
        window: edge of its window on every axis.
        shift: by how much the windows are moved, on every axis.
    """

    def __init__(self, block: nn.Module, window: tuple[int, ...], shift: tuple[int, ...]) -> None:
        super().__init__()
        self.block = block
        self.window = window
        self.shift = shift

    def forward(self, features: Tensor) -> Tensor:
        """A map of the same shape."""
        from monai.networks.nets.swin_unetr import compute_mask, get_window_size  # noqa: PLC0415

        grid = tuple(features.shape[2:])
        window, shift = get_window_size(grid, self.window, self.shift)
        padded = [math.ceil(n / size) * size for n, size in zip(grid, window, strict=True)]
        mask = compute_mask(padded, window, shift, features.device).to(features.dtype)
        attended: Tensor = self.block(features.movedim(1, -1).contiguous(), mask)
        return attended.movedim(-1, 1)


class SwinMerging(nn.Module):
    """Patch merging on a map: half of every axis, twice the channels."""

    def __init__(self, merging: nn.Module) -> None:
        super().__init__()
        self.merging = merging

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, *grid) to (B, 2 * channels, *grid / 2)."""
        merged: Tensor = self.merging(features.movedim(1, -1))
        return merged.movedim(-1, 1)


def build_swin(config: SwinConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: patch embedding; the attention blocks of each level, then its patch merging.

    Args:
        config: sizes; Swin-T by default.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if the input is neither.
    Source: Liu et al. 2021. MONAI's encoder merges after its last level too.
    """
    axes = count_axes(input_shape, config.name)
    # Here, because MONAI takes seconds and half of all packages along.
    from monai.networks.nets.swin_unetr import SwinTransformer  # noqa: PLC0415

    network = SwinTransformer(
        in_chans=input_shape[0],
        embed_dim=config.width,
        window_size=(config.window_size,) * axes,
        patch_size=(config.patch_size,) * axes,
        depths=config.layers,
        num_heads=config.num_heads,
        patch_norm=True,
        spatial_dims=axes,
        downsample="mergingv2",
    )
    stages: list[nn.Module] = [network.patch_embed]
    levels = [getattr(network, f"layers{k}")[0] for k in range(1, len(config.layers) + 1)]
    for level in levels:
        stages += [SwinAttention(each, each.window_size, each.shift_size) for each in level.blocks]
        stages.append(SwinMerging(level.downsample))
    return stages
