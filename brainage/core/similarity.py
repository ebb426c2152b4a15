"""Similarity matching: samples of like targets shall have like features.

Source: Nokland & Eidnes 2019, ICML, "Training Neural Networks with Local Error Signals".
Shape letters: B samples, F statistics, C entries of a target distribution.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

TINY = 1e-6

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class SimilarityHead(nn.Module):
    """One vector of statistics for each sample.

    Maps go through a 3x3 convolution, of which every channel's standard deviation over positions
    is kept; vectors go through a linear layer.

    Args:
        feature_shape: (channels, *spatial) of the block's features.
    """

    def __init__(self, feature_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, *spatial = feature_shape
        self.layer: nn.Module
        if spatial:
            convolution = _CONVOLUTIONS[len(spatial)]
            self.layer = convolution(channels, channels, 3, padding=1, bias=False)
        else:
            self.layer = nn.Linear(channels, channels, bias=False)
        self.has_positions = math.prod(spatial) > 1

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, *spatial) to statistics (B, channels)."""
        mapped: Tensor = self.layer(features).flatten(2) if features.ndim > 2 else features
        if features.ndim == 2:
            return self.layer(features)  # type: ignore[no-any-return]
        if not self.has_positions:
            return mapped.squeeze(2)
        return (mapped.var(2, correction=0) + TINY).sqrt()


def similarity_matching_loss(statistics_BF: Tensor, targets_BC: Tensor) -> Tensor:
    """Mean squared difference of the two similarity matrices of a batch.

    Args:
        statistics_BF: of every sample.
        targets_BC: target distributions; carry no gradient.

    Returns:
        A scalar, zero for a batch of one.
    """
    found_BB = _cosine_similarities(statistics_BF)
    wanted_BB = _cosine_similarities(targets_BC.to(statistics_BF.dtype)).detach()
    return F.mse_loss(found_BB, wanted_BB)


def _cosine_similarities(values_BF: Tensor) -> Tensor:
    """Cosine similarity of every pair of rows, each freed of its mean; shape (B, B)."""
    centred = values_BF - values_BF.mean(1, keepdim=True)
    unit: Tensor = centred / (torch.linalg.vector_norm(centred, dim=1, keepdim=True) + TINY)
    return unit @ unit.T
