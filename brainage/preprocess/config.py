"""Settings of the way from a raw scan to the tensor that a network sees.

A default is a value that was used on the open cohort (199 scans of four studies); what each one
costs and how the limits were chosen stands below it. Reading already brings every scan into RAS+
order without interpolating, so there is no setting for that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

# What the MNI152 brain mask covers, in millimetres: voxel faces, not centres.
TEMPLATE_BRAIN_LOW_MM = (-73.0, -107.0, -73.0)
TEMPLATE_BRAIN_HIGH_MM = (73.0, 73.0, 83.0)


# The steps that find something out about a scan, or clean it, before it is put on the grid.
FindingStep = Literal["denoise", "brain_extraction", "bias_field", "registration"]


def _require_unused(section: object, method: str, used: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a setting that the chosen method does not read: it would be silently ignored.

    Args:
        section: a settings object.
        method: its chosen method.
        used: for each setting, the methods that read it.
    """
    defaults = {entry.name: entry.default for entry in fields(section)}  # type: ignore[arg-type]
    for name, methods in used.items():
        value = getattr(section, name)
        wanted = f"its default, for method '{method}' does not use it ({', '.join(methods)} does)"
        require(method in methods or value == defaults[name], name, wanted, value)


@dataclass(frozen=True, kw_only=True)
class DenoiseConfig:
    """Smoothing that spares edges, before anything else looks at the intensities."""

    __pydantic_config__ = FORBID_UNKNOWN

    method: Literal["none", "curvature_flow", "nonlocal_means"] = "none"
    """``none``: leave the noise. ``curvature_flow``: SimpleITK's, under a second at 2 mm.
    ``nonlocal_means``: that of ANTs for Rician noise, slower."""

    iterations: int = 5
    """Steps of ``curvature_flow``, 0.0625 each; more is smoother."""

    def __post_init__(self) -> None:
        require(1 <= self.iterations <= 50, "iterations", "1 to 50", self.iterations)
        _require_unused(self, self.method, {"iterations": ("curvature_flow",)})


@dataclass(frozen=True, kw_only=True)
class BrainExtractionConfig:
    """Which voxels are brain."""

    __pydantic_config__ = FORBID_UNKNOWN

    method: Literal["deepbet", "hd-bet", "synthstrip", "template", "none"] = "deepbet"
    """``deepbet``: the network of that package, 1.2 s of a core. ``hd-bet``, ``synthstrip``: those
    programs, where installed. ``template``: where the registered template has brain, without a
    network; coarser. ``none``: every voxel that is not background (input known to be stripped)."""

    recognise_stripped: bool = True
    """Use the foreground of a scan that is recognised as already stripped, whatever the method."""

    upright_degrees: float = 10.0
    """A head that lies turned by more than this on its voxels is extracted once more from an
    upright copy, for networks know upright heads; 180: never. 1.5 s more for such a scan."""

    min_brain_ml: float = 500.0
    """Smallest brain accepted, in millilitres. Open cohort: 1091 to 1879 ml."""

    max_brain_ml: float = 2500.0
    """Largest brain accepted, in millilitres."""

    def __post_init__(self) -> None:
        below = f"at least 0 and less than max_brain_ml ({self.max_brain_ml:g})"
        fits = 0 <= self.min_brain_ml < self.max_brain_ml
        require(fits, "min_brain_ml", below, self.min_brain_ml)
        degrees = self.upright_degrees
        require(0 < degrees <= 180, "upright_degrees", "more than 0, at most 180", degrees)
        networks = ("deepbet", "hd-bet", "synthstrip")
        _require_unused(self, self.method, {"upright_degrees": networks})


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

    retry_dice: float = 0.88
    """Below this overlap other starting positions are tried and the best result is kept."""

    retry_correlation: float = 0.30
    """Below this correlation, too."""

    max_starts: int = 17
    """Starting positions tried at most, a second or two each; 1: the first alone."""

    def __post_init__(self) -> None:
        for name in ("min_dice", "min_correlation", "retry_dice", "retry_correlation"):
            value = getattr(self, name)
            require(-1 <= value < 1, name, "at least -1 and less than 1", value)
        require(1 <= self.max_starts <= 17, "max_starts", "1 to 17", self.max_starts)
        for figure in ("dice", "correlation"):
            least, value = getattr(self, f"min_{figure}"), getattr(self, f"retry_{figure}")
            wanted = f"at least min_{figure} ({least:g}): a result that is refused is tried again"
            require(value >= least, f"retry_{figure}", wanted, value)


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

    method: Literal["zscore", "percentile", "whitestripe", "histogram"] = "zscore"
    """``zscore``: mean 0 and standard deviation 1 over the mask. ``percentile``: two percentiles of
    the mask become 0 and 1. ``whitestripe``: mean 0 and standard deviation 1 over normal-appearing
    white matter. ``histogram``: the distribution of the template's intensities, 0 to 1."""

    clip: float = 5.0
    """With ``zscore``: values beyond plus or minus this many standard deviations are set to it."""

    low_percentile: float = 1.0
    """With ``percentile``: becomes 0; less is cut off."""

    high_percentile: float = 99.0
    """With ``percentile``: becomes 1; more is cut off."""

    def __post_init__(self) -> None:
        require(self.clip > 0, "clip", "more than 0", self.clip)
        low, high = self.low_percentile, self.high_percentile
        above = f"more than low_percentile ({low:g}), at most 100"
        require(0 <= low < 100, "low_percentile", "at least 0 and less than 100", low)
        require(low < high <= 100, "high_percentile", above, high)
        percentile = ("percentile",)
        used = {"clip": ("zscore",), "low_percentile": percentile, "high_percentile": percentile}
        _require_unused(self, self.method, used)


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """All that decides the tensor made of a scan; part of every model bundle."""

    __pydantic_config__ = FORBID_UNKNOWN

    order: tuple[FindingStep, ...] = ("denoise", "brain_extraction", "bias_field", "registration")
    """All finding steps in the order in which they run; whether one does anything is its method.
    Registration needs the brain and what was corrected, so it is the last."""

    denoise: DenoiseConfig = field(default_factory=DenoiseConfig)
    """Smoothing that spares edges; none unless asked for."""

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

    def __post_init__(self) -> None:
        names = ("denoise", "brain_extraction", "bias_field", "registration")
        complete = sorted(self.order) == sorted(names)
        require(complete, "order", f"each of {', '.join(names)} once", self.order)
        last = self.order[-1] == "registration"
        require(last, "order", "registration last, for it needs all that comes before", self.order)
