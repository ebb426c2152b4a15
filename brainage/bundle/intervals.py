"""Intervals that hold a person's age as often as they say: split-conformal prediction.

The residuals age - predicted age of scans that their network did not see are a sample of those of
new scans of the same population. An interval reaches from one of their quantiles to another, added
to the prediction; nothing is assumed of their distribution. How large errors are depends on age, so
that quantiles are taken in bins of the predicted age, which is known of a new scan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from brainage.bundle.files import finite


class AgeInterval(NamedTuple):
    """Bounds on the age of the person in a scan, in years, and how often they should hold."""

    low_years: float
    high_years: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class IntervalBin:
    """Residual quantiles of the scans predicted at least ``from_years`` and below the next bin."""

    from_years: float | None
    """None is no lower end."""

    low_years: float
    """What is added to the prediction for the lower bound."""

    high_years: float
    """What is added to the prediction for the upper bound."""

    n: int
    """Scans in the bin."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """The bins in rising order; the first has no lower end."""

    coverage: float
    """In (0, 1): how many ages of new scans the intervals are made to hold."""

    bins: tuple[IntervalBin, ...]

    def of(self, predicted_years: float) -> AgeInterval:
        """The interval of one prediction."""
        found = self.bins[0]
        for each in self.bins[1:]:
            if each.from_years is not None and predicted_years >= each.from_years:
                found = each
        low, high = predicted_years + found.low_years, predicted_years + found.high_years
        return AgeInterval(max(0.0, low), max(0.0, high), self.coverage)


def intervals_from_mapping(values: Mapping[str, Any]) -> Intervals:
    """The intervals as ``calibration.json`` has them.

    Raises:
        KeyError: if a number is missing.
        TypeError: if one is no number.
        ValueError: if there is no bin, or as above.
    """
    bins = tuple(
        IntervalBin(
            from_years=None if each["from_years"] is None else finite(each["from_years"]),
            low_years=finite(each["low_years"]),
            high_years=finite(each["high_years"]),
            n=int(finite(each["n"])),
        )
        for each in values["bins"]
    )
    _refuse_disorder(bins)
    coverage = finite(values["coverage"])
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a fraction between 0 and 1, got {coverage}")
    return Intervals(coverage=coverage, bins=bins)


def _refuse_disorder(bins: tuple[IntervalBin, ...]) -> None:
    if not bins:
        raise ValueError("bins: expected at least one, got none")
    edges = [each.from_years for each in bins[1:]]
    known = [edge for edge in edges if edge is not None]
    if bins[0].from_years is not None or len(known) < len(edges) or known != sorted(set(known)):
        raise ValueError("bins: expected rising lower ends, the first without one")
    for each in bins:
        if each.low_years > each.high_years:
            raise ValueError(
                f"bins: expected low_years below high_years, got {each.low_years} and "
                f"{each.high_years}"
            )
