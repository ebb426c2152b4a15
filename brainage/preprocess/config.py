"""Settings of the way from a raw scan to the tensor that a network sees.

A default is a value that was used on the open cohort (199 scans of four studies); what each one
costs and how the limits were chosen stands below it.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

# What the MNI152 brain mask covers, in millimetres: voxel faces, not centres.
TEMPLATE_BRAIN_LOW_MM = (-73.0, -107.0, -73.0)
TEMPLATE_BRAIN_HIGH_MM = (73.0, 73.0, 83.0)


@dataclass(frozen=True, kw_only=True)
class BrainExtractionConfig:
    """Which voxels are brain."""

    __pydantic_config__ = FORBID_UNKNOWN

    method: Literal["deepbet", "none"] = "deepbet"
    """``deepbet``: the network of that package. ``none``: every voxel that is not background
    belongs to the brain (input that is known to be stripped)."""

    recognise_stripped: bool = True
    """With ``deepbet``: use the foreground of a scan that is recognised as already stripped."""

    min_brain_ml: float = 500.0
    """Smallest brain accepted, in millilitres. Open cohort: 1091 to 1879 ml."""

    max_brain_ml: float = 2500.0
    """Largest brain accepted, in millilitres."""

    def __post_init__(self) -> None:
        below = f"at least 0 and less than max_brain_ml ({self.max_brain_ml:g})"
        fits = 0 <= self.min_brain_ml < self.max_brain_ml
        require(fits, "min_brain_ml", below, self.min_brain_ml)


@dataclass(frozen=True, kw_only=True)
class BiasFieldConfig:
    """Correction of the slow intensity drift of the receiver coils."""

    __pydantic_config__ = FORBID_UNKNOWN

    method: Literal["n4", "none"] = "n4"
    """``n4``: N4 of SimpleITK inside the brain. ``none``: leave the intensities as they are."""

    spacing_mm: float = 6.0
    """Size of the block means on which the field is estimated; the field is much smoother. 4 mm
    takes three times as long."""

    num_levels: int = 3
    """Resolution levels of the B-spline; each halves the spacing of its control points."""

    iterations_per_level: int = 20
    """Most iterations at each level."""

    def __post_init__(self) -> None:
        require(1 <= self.spacing_mm <= 10, "spacing_mm", "1 to 10 mm", self.spacing_mm)
        require(1 <= self.num_levels <= 5, "num_levels", "1 to 5", self.num_levels)
        iterations = self.iterations_per_level
        require(1 <= iterations <= 500, "iterations_per_level", "1 to 500", iterations)


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """Linear alignment of the brain with the MNI152 template."""

    __pydantic_config__ = FORBID_UNKNOWN

    transform: Literal["affine", "rigid"] = "affine"
    """``affine``: 12 degrees of freedom. ``rigid``: 6, keeps the size of the brain."""

    min_dice: float = 0.80
    """Least overlap (Dice) of the moved brain mask with the template's mask. Lowest in the open
    cohort: 0.90, a stripped brain with pieces of the neck left on it; median 0.96."""

    min_correlation: float = 0.20
    """Least correlation with the template where both have brain. Lowest in the open cohort: 0.33,
    the same scan; median 0.60. Noise in the shape of a brain: below 0.1."""

    def __post_init__(self) -> None:
        for name in ("min_dice", "min_correlation"):
            value = getattr(self, name)
            require(-1 <= value < 1, name, "at least -1 and less than 1", value)


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """The grid of the output: a box in MNI space, centred on the template's brain."""

    __pydantic_config__ = FORBID_UNKNOWN

    spacing_mm: float = 4.0
    """Distance between voxel centres, the same along all axes."""

    shape_XYZ: tuple[int, int, int] = (40, 48, 40)
    """Voxels along right, anterior and superior. (40, 48, 40) at 4 mm, (56, 64, 56) at 3 mm,
    (80, 96, 80) at 2 mm and (160, 192, 160) at 1 mm hold the whole brain."""

    mask: Literal["scan", "intersection"] = "scan"
    """``scan``: the scan's own brain. ``intersection``: only where the template has brain too."""

    def __post_init__(self) -> None:
        require(0.5 <= self.spacing_mm <= 8, "spacing_mm", "0.5 to 8 mm", self.spacing_mm)
        limits = zip(TEMPLATE_BRAIN_LOW_MM, TEMPLATE_BRAIN_HIGH_MM, strict=True)
        needed = tuple(math.ceil((high - low) / self.spacing_mm) for low, high in limits)
        fits = len(self.shape_XYZ) == 3 and all(
            size >= least for size, least in zip(self.shape_XYZ, needed, strict=True)
        )
        require(
            fits,
            "shape_XYZ",
            f"at least {needed} voxels of {self.spacing_mm:g} mm to hold the template's brain",
            self.shape_XYZ,
        )


@dataclass(frozen=True, kw_only=True)
class IntensityConfig:
    """Scaling of the intensities inside the mask; outside they are zero."""

    __pydantic_config__ = FORBID_UNKNOWN

    method: Literal["zscore"] = "zscore"
    """``zscore``: mean 0 and standard deviation 1 over the mask."""

    clip: float = 5.0
    """Values beyond plus or minus this many standard deviations are set to it."""

    def __post_init__(self) -> None:
        require(self.clip > 0, "clip", "more than 0", self.clip)


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """All that decides the tensor made of a scan; part of every model bundle."""

    __pydantic_config__ = FORBID_UNKNOWN

    brain_extraction: BrainExtractionConfig = field(default_factory=BrainExtractionConfig)
    """Which voxels are brain."""

    bias_field: BiasFieldConfig = field(default_factory=BiasFieldConfig)
    """Correction of slow intensity drifts."""

    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    """Alignment with the template."""

    grid: GridConfig = field(default_factory=GridConfig)
    """Where in template space the output lies."""

    intensity: IntensityConfig = field(default_factory=IntensityConfig)
    """Scaling of the values."""
