"""Settings of the parts: who trains, who validates, who tests."""

from dataclasses import dataclass

from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Who trains, who validates, who tests: by subject, balanced over age and site."""

    __pydantic_config__ = FORBID_UNKNOWN

    folds: int | None = None
    """Number of folds; every subject is tested in one of them. Null is one split."""
    test_fraction: float = 0.2
    """Share of the subjects that is tested on; not used with folds, where it is 1 / folds."""
    validation_fraction: float = 0.15
    """Share of all subjects that is validated on, taken from those not tested on."""
    num_age_bins: int = 5
    """Bins of equal numbers of subjects over which the parts are balanced."""

    def __post_init__(self) -> None:
        valid = self.folds is None or self.folds >= 2
        require(valid, "folds", "at least 2 or null", self.folds)
        for field in ("test_fraction", "validation_fraction"):
            require(0 < getattr(self, field) < 1, field, "in (0, 1)", getattr(self, field))
        tested = self.test_fraction if self.folds is None else 1 / self.folds
        room = 1 - tested
        fits = self.validation_fraction < room
        expected = f"less than the {room:g} that testing leaves"
        require(fits, "validation_fraction", expected, self.validation_fraction)
        require(self.num_age_bins >= 1, "num_age_bins", "at least 1", self.num_age_bins)
