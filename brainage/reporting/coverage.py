"""Whether intervals hold the age as often as they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import Estimate, bootstrap_estimates, subject_groups
from brainage.reporting.groups import age_decades, in_order
from brainage.reporting.resampling import Floats, Indices


@dataclass(frozen=True, kw_only=True)
class CoverageRow:
    """Intervals of one group of scans."""

    label: str
    n: int

    coverage: Estimate
    """Fraction of scans whose age lies within the interval of their prediction."""

    width_years: Estimate
    """Mean width of the intervals."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Coverage of the intervals that came with the predictions."""

    nominal: float | None
    """What the intervals say, in (0, 1); None if they do not."""

    overall: CoverageRow
    by_age: tuple[CoverageRow, ...]


def coverage_row(
    label: str, age_years: Floats, low_years: Floats, high_years: Floats, subjects: Indices
) -> CoverageRow:
    """Coverage and width of the intervals of one group, with intervals of their own.

    Args:
        label: names the group.
        age_years: shape (N,).
        low_years: shape (N,).
        high_years: shape (N,).
        subjects: the subject of each scan, numbered from 0; they are what is resampled.
    """
    inside = ((low_years <= age_years) & (age_years <= high_years)).astype(np.float64)

    def statistics(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        return {
            "coverage": weights @ inside / total,
            "width": weights @ (high_years - low_years) / total,
        }

    found = bootstrap_estimates(statistics, subjects)
    return CoverageRow(
        label=label, n=len(age_years), coverage=found["coverage"], width_years=found["width"]
    )


def interval_coverage(
    age_years: npt.ArrayLike,
    interval_low: npt.ArrayLike,
    interval_high: npt.ArrayLike,
    *,
    nominal: float | None,
    subjects: Sequence[str],
) -> Coverage:
    """Coverage overall and per age decade, with intervals of its own from resampling subjects.

    Args:
        age_years: shape (N,).
        interval_low: shape (N,), years.
        interval_high: shape (N,), years.
        nominal: the coverage that the intervals were made for.
        subjects: who each scan is of.
    """
    age = np.asarray(age_years, dtype=np.float64)
    low = np.asarray(interval_low, dtype=np.float64)
    high = np.asarray(interval_high, dtype=np.float64)

    def row(label: str, members: npt.NDArray[np.bool_]) -> CoverageRow:
        names = np.asarray(subjects, dtype=str)[members]
        groups = subject_groups(names.tolist(), len(names))
        return coverage_row(label, age[members], low[members], high[members], groups)

    decades = np.asarray(age_decades(age), dtype=str)
    return Coverage(
        nominal=nominal,
        overall=row("all", np.ones(len(age), dtype=bool)),
        by_age=tuple(row(label, decades == label) for label in in_order(decades.tolist())),
    )
