"""Vision transformer for images and volumes, from MONAI's parts.

Between stages tokens are folded back to a map (B, channels, *grid), so that heads, cuts and
auxiliary networks treat a transformer as they treat a convolutional network.
"""

import torch
from torch import Tensor, nn

from brainage.backbones.config import ViTConfig
from brainage.backbones.layers import count_axes


class PatchEmbedding(nn.Module):
    """Images (B, channels, *spatial) to a map of embedded patches (B, D, *grid)."""

    def __init__(self, embedding: nn.Module, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding = embedding
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:
        """Patches with their learned positions added."""
        tokens: Tensor = self.embedding(images)
        return torch.unflatten(tokens.transpose(1, 2), 2, self.grid)


class ResidualHalf(nn.Module):
    """One half of an encoder layer on a map (B, D, *grid): normalise, transform, add.

    Args:
        norm: layer normalisation over D.
        transform: self-attention, or the MLP, on tokens (B, N, D).
    """

    def __init__(self, norm: nn.Module, transform: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.transform = transform

    def forward(self, features: Tensor) -> Tensor:
        """A map of the same shape."""
        tokens = features.flatten(2).transpose(1, 2)
        tokens = tokens + self.transform(self.norm(tokens))
        return torch.unflatten(tokens.transpose(1, 2), 2, features.shape[2:])


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of a map (B, D, *grid)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, features: Tensor) -> Tensor:
        """A map of the same shape."""
        normalised: Tensor = self.norm(features.movedim(1, -1))
        return normalised.movedim(-1, 1)


def build_vit(config: ViTConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Stages: patch embedding; attention half and MLP half of each layer; last normalisation.

    Args:
        config: sizes; ViT-B/16 by default.
        input_shape: (channels, X, Y) of one image, or (channels, X, Y, Z) of one volume.

    Raises:
        ValueError: if the patches do not tile the input.
    Source: Dosovitskiy et al. 2021.
    """
    axes = count_axes(input_shape, config.name)
    channels, *spatial = input_shape
    if any(size % config.patch_size for size in spatial):
        raise ValueError(
            f"backbone.patch_size: expected a divisor of every axis of {tuple(spatial)}, "
            f"got {config.patch_size}"
        )
    # Here, because MONAI takes seconds and half of all packages along.
    from monai.networks.blocks.patchembedding import PatchEmbeddingBlock  # noqa: PLC0415
    from monai.networks.blocks.transformerblock import TransformerBlock  # noqa: PLC0415

    embedding = PatchEmbeddingBlock(
        channels,
        tuple(spatial),
        config.patch_size,
        config.hidden_size,
        config.num_heads,
        proj_type="conv",
        dropout_rate=config.dropout,
        spatial_dims=axes,
    )
    grid = tuple(size // config.patch_size for size in spatial)
    stages: list[nn.Module] = [PatchEmbedding(embedding, grid)]
    for _ in range(config.num_layers):
        layer = TransformerBlock(
            config.hidden_size, config.mlp_size, config.num_heads, config.dropout, qkv_bias=True
        )
        stages.append(ResidualHalf(layer.norm1, layer.attn))
        stages.append(ResidualHalf(layer.norm2, layer.mlp))
    return [*stages, ChannelNorm(config.hidden_size)]
