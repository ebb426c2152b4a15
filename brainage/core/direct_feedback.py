"""Direct feedback alignment: the network's error reaches every block by a fixed random projection.

Source: Nokland 2016, NeurIPS, "Direct Feedback Alignment Provides Learning in Deep Neural
Networks". Shape letters: B samples, C outputs.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

MOST_POSITIONS = 8
"""Positions along each axis that have feedback weights of their own."""


class FeedbackProjection(nn.Module):
    """From the error of the network's outputs to a gradient of one block's features.

    For a fully connected block this is the published dense matrix. For maps, a matrix for every
    position of a volume would outgrow the network, so neighbouring positions share weights where
    an axis has more than 8.

    Args:
        num_outputs: C.
        feature_shape: (channels, *spatial) of the block's features.
    """

    weight_CU: Tensor

    def __init__(self, num_outputs: int, feature_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.channels, *spatial = feature_shape
        self.coarse = [min(size, MOST_POSITIONS) for size in spatial]
        num_units = self.channels * math.prod(self.coarse)
        weight = torch.empty(num_outputs, num_units)
        nn.init.uniform_(weight, -1 / math.sqrt(num_outputs), 1 / math.sqrt(num_outputs))
        self.register_buffer("weight_CU", weight)

    def forward(self, error_BC: Tensor, features: Tensor) -> Tensor:
        """A gradient of the features' shape.

        Args:
            error_BC: gradient of the network's loss for its outputs.
            features: of the block, (B, channels, *spatial).
        """
        gradient = (error_BC.to(self.weight_CU.dtype) @ self.weight_CU).reshape(
            len(error_BC), self.channels, *self.coarse
        )
        if gradient.shape != features.shape:
            gradient = F.interpolate(gradient, size=features.shape[2:], mode="nearest")
        return gradient.to(features.dtype)
