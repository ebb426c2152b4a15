"""Whether a map depends on what the model learned: it has to change with the weights.

Source: Adebayo et al. 2018, NeurIPS, "Sanity checks for saliency maps".
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from brainage.preprocess.state import Image, Mask


@dataclass(frozen=True, kw_only=True)
class RandomisedMap:
    """How alike a map is to that of a network with random weights.

    Rank correlations over the voxels of the brain, of the values and of their sizes without sign;
    None where either map is constant.
    """

    randomised_blocks: tuple[int, ...]
    spearman: float | None
    spearman_absolute: float | None


@dataclass(frozen=True, kw_only=True)
class SanityCheck:
    """Result for one map; the last comparison is with all weights random.

    ``spearman_with_difference`` compares the map's sizes with how far the volume is from what it is
    compared with: integrated gradients are a product with that, whatever the weights are.
    """

    method: str
    comparisons: tuple[RandomisedMap, ...]
    spearman_with_difference: float | None
    highest_correlation: float

    @property
    def passed(self) -> bool:
        """Whether the map changes with the weights."""
        alike = self.comparisons[-1].spearman_absolute
        return alike is not None and alike < self.highest_correlation

    def warning(self) -> str:
        """What whoever reads a map that did not pass has to know, as one line."""
        alike = self.comparisons[-1].spearman_absolute
        name = self.method.replace("_", " ")
        if alike is None:
            return f"{name}: the map, or that of random weights, is the same everywhere"
        return (
            f"{name}: the map does not depend on what was learned: with random weights it is "
            f"nearly the same (rank correlation {alike:.2f}, expected below "
            f"{self.highest_correlation:.2f}); do not read it"
        )


def compare(
    map_XYZ: Image, other_XYZ: Image, mask_XYZ: Mask, randomised_blocks: tuple[int, ...]
) -> RandomisedMap:
    """Compare a map with that of randomised weights, inside the brain."""
    mine, other = map_XYZ[mask_XYZ], other_XYZ[mask_XYZ]
    return RandomisedMap(
        randomised_blocks=randomised_blocks,
        spearman=rank_correlation(mine, other),
        spearman_absolute=rank_correlation(np.abs(mine), np.abs(other)),
    )


def rank_correlation(first: Image, second: Image) -> float | None:
    """Spearman's; None where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)
