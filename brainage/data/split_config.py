"""Settings of the parts: who trains, who validates, who tests."""

from dataclasses import dataclass

from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Who trains, who validates, who tests: by subject, balanced over age, sex and site."""

    __pydantic_config__ = FORBID_UNKNOWN

    folds: int | None = None
    """Number of folds; every subject is tested in one of them. Null is one split."""
    leave_one_site_out: bool = False
    """One fold for each site, which is tested by a network that saw no scan of it."""
    min_site_subjects: int = 5
    """With ``leave_one_site_out``: sites with fewer subjects are not tested; they train in every
    fold."""
    repeats: int = 1
    """How often the folds are drawn anew, each time with other initial weights. A scan's prediction
    is then the mean of its predictions."""
    inner_folds: int | None = None
    """Nested cross-validation: number of folds within each training part, by which a candidate of
    ``search`` is chosen. Null chooses nothing."""
    test_fraction: float = 0.2
    """Share of the subjects that is tested on; not used with folds, where it is 1 / folds."""
    validation_fraction: float = 0.15
    """Share of all subjects that is validated on, taken from those not tested on; with
    ``leave_one_site_out``, share of the other sites' subjects."""
    num_age_bins: int = 5
    """Bins of equal numbers of subjects over which the parts are balanced."""

    def __post_init__(self) -> None:
        for field in ("folds", "inner_folds"):
            value = getattr(self, field)
            require(value is None or value >= 2, field, "at least 2 or null", value)
        both = self.leave_one_site_out and self.folds is not None
        require(not both, "folds", "null with leave_one_site_out", self.folds)
        for field in ("repeats", "min_site_subjects", "num_age_bins"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))
        repeatable = self.repeats == 1 or self.has_folds
        require(repeatable, "repeats", "1 without folds or leave_one_site_out", self.repeats)
        for field in ("test_fraction", "validation_fraction"):
            require(0 < getattr(self, field) < 1, field, "in (0, 1)", getattr(self, field))
        room = 1 - self._largest_test_fraction()
        fits = self.validation_fraction < room
        expected = f"less than the {room:g} that testing leaves"
        require(fits, "validation_fraction", expected, self.validation_fraction)

    @property
    def has_folds(self) -> bool:
        """Whether several networks are tested, each on its own part."""
        return self.folds is not None or self.leave_one_site_out

    def _largest_test_fraction(self) -> float:
        """Of the outer and the inner folds; a site's share is known when its scans are."""
        outer = 0.0 if self.leave_one_site_out else self.test_fraction
        if self.folds is not None:
            outer = 1 / self.folds
        return max(outer, 0.0 if self.inner_folds is None else 1 / self.inner_folds)
