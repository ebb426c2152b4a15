"""Settings of a stress test: budgets in years, and the seed."""

from dataclasses import dataclass, field, fields, replace

from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """By how many years a change of the scan may change the age, in either direction.

    0.5 where nothing of the head changes, 1.0 where the brain's image is kept, 2.0 where the image
    becomes worse. A model's error on new people is no excuse for exceeding them: it is the same
    person and the same day.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    rotation_header: float = 0.5
    """The head turned by the affine matrix: no voxel changes."""
    rotation_voxels: float = 1.0
    """The head turned on its voxels: one interpolation."""
    translation_header: float = 0.5
    """The head shifted by the affine matrix."""
    translation_voxels: float = 1.0
    """Voxels that lie between the old ones: one interpolation."""
    crop_neck: float = 1.0
    """The field of view ends below the brain."""
    crop_sides: float = 1.0
    """The field of view ends beside, before, behind and above the brain."""
    padding: float = 0.5
    """More background around the head."""
    defacing: float = 1.0
    """The face removed."""
    bias_field: float = 1.0
    """A smooth field multiplied."""
    noise: float = 2.0
    """Rician noise."""
    motion: float = 2.0
    """The head moves while it is scanned."""
    ghosting: float = 2.0
    """Every fourth plane of k-space is weakened."""
    resampling: float = 2.0
    """Another voxel size."""
    blur: float = 2.0
    """A Gaussian blur."""
    scaling: float = 0.5
    """All intensities multiplied."""
    offset: float = 1.0
    """A number added to all intensities."""
    rounding: float = 1.0
    """Fewer grey levels."""
    mirror: float = 1.0
    """Left and right exchanged."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            require(0 < value <= 100, entry.name, "years above 0, at most 100", value)


@dataclass(frozen=True, kw_only=True)
class StressConfig:
    """Everything that decides a stress test besides the model and the scans."""

    __pydantic_config__ = FORBID_UNKNOWN

    seed: int = 0
    """Seed of noise and of the bias field."""
    budgets: Budgets = field(default_factory=Budgets)
    """Years that each perturbation may cost."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, "seed", "a number from 0 to 2**32 - 1", self.seed)

    def with_budget(self, years: float) -> "StressConfig":
        """The same with one budget for all perturbations."""
        return replace(self, budgets=Budgets(**{f.name: years for f in fields(Budgets)}))
