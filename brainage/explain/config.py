"""Settings of an explanation."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import require

Method = Literal["occlusion", "integrated_gradients"]
Baseline = Literal["template", "mean"]
METHODS: tuple[Method, ...] = ("occlusion", "integrated_gradients")

# Rows of the network at a time, by voxels: more of a large volume would only cost memory.
VOXELS_AT_A_TIME = 8 * 80_000


@dataclass(frozen=True, kw_only=True)
class ExplainConfig:
    """How the maps are made and checked."""

    methods: tuple[Method, ...] = METHODS
    """Which maps."""
    cube_mm: float = 16.0
    """Occlusion: edge of the cube that is replaced; rounded to whole voxels."""
    stride_mm: float = 8.0
    """Occlusion: from one cube to the next; half the edge covers every place eight times."""
    baseline: Baseline = "template"
    """Integrated gradients: the volume they start from, the template's brain or the flat mean of
    the scan's own. Few networks can do with the second, see `baseline`."""
    num_steps: int = 64
    """Integrated gradients: points on the way from the baseline to the scan."""
    seed: int = 0
    """Of the random weights that the sanity check compares with."""
    highest_correlation: float = 0.7
    """Sanity check: a map this alike under random weights does not tell of the weights."""

    def __post_init__(self) -> None:
        require(bool(self.methods), "methods", "at least one", self.methods)
        require(1 <= self.cube_mm <= 80, "cube_mm", "from 1 to 80", self.cube_mm)
        require(
            1 <= self.stride_mm <= self.cube_mm,
            "stride_mm",
            f"from 1 to cube_mm ({self.cube_mm:g}), so that no place is left out",
            self.stride_mm,
        )
        require(8 <= self.num_steps <= 1000, "num_steps", "from 8 to 1000", self.num_steps)
        require(
            0 < self.highest_correlation < 1,
            "highest_correlation",
            "between 0 and 1",
            self.highest_correlation,
        )

    def cube_voxels(self, spacing_mm: float) -> int:
        """Edge of the cube on a grid."""
        return max(1, round(self.cube_mm / spacing_mm))

    def stride_voxels(self, spacing_mm: float) -> int:
        """Distance of two cubes on a grid."""
        return min(max(1, round(self.stride_mm / spacing_mm)), self.cube_voxels(spacing_mm))


def rows_at_a_time(shape_XYZ: tuple[int, ...]) -> int:
    """Volumes of this shape that go through the network together.

    At least two: on one thread torch convolves a single volume by a slower routine.
    """
    x, y, z = shape_XYZ
    return max(2, min(8, VOXELS_AT_A_TIME // (x * y * z)))
