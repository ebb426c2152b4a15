"""How far a scan lies from those a model was trained on, in the features of its last block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from brainage.core.blocks import BlockOutputs

Floats = npt.NDArray[np.float64]


def pooled_features(outputs: BlockOutputs) -> Tensor:
    """Mean and deviation over all positions of a block's features (B, C, ...): (B, 2C)."""
    positions = outputs.features.flatten(2)
    return torch.cat([positions.mean(dim=2), positions.std(dim=2, correction=0)], dim=1)


@dataclass(frozen=True)
class MemberSpace:
    """Where one network's training scans lie: ``mean_F`` (F,) and ``precision_FF`` (F, F).

    The precision is divided by the number of features F, so that a usual scan's distance is near 1
    whatever the network.
    """

    mean_F: Floats
    precision_FF: Floats

    def distance(self, features_F: Floats) -> float:
        """Mahalanobis distance of one scan, without a unit."""
        apart = features_F - self.mean_F
        return float(np.sqrt(max(0.0, float(apart @ self.precision_FF @ apart))))


@dataclass(frozen=True)
class TrainingSpace:
    """The space of every network of a model, in their order.

    ``most`` is the distance beyond which a scan counts as unlike those of the training.
    """

    members: tuple[MemberSpace, ...]
    most: float

    def distance(self, features_by_member: Sequence[Floats]) -> float:
        """Mean distance over the networks."""
        each = [
            space.distance(features_F)
            for space, features_F in zip(self.members, features_by_member, strict=True)
        ]
        return float(np.mean(each))

    def is_outside(self, distance: float) -> bool:
        """Whether a distance is larger than those of held-out scans of the training's studies."""
        return distance > self.most
