"""What predictions of scans that were not seen tell of a model: its age line and its intervals.

A training run has such predictions of its held-out scans, a laboratory of its own controls; both
come through here. Why something is absent is kept beside the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from brainage.bundle.age_line import LEAST_SLOPE, AgeLine, fit_age_line
from brainage.bundle.conformal import fit_intervals
from brainage.bundle.intervals import Intervals
from brainage.errors import CohortError
from brainage.reporting.coverage import Coverage, CoverageRow, interval_coverage

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Found = TypeVar("Found")

NUM_FOLDS = 10
"""Parts of the subjects; the intervals of each are fitted on the others to measure coverage."""


@dataclass(frozen=True, kw_only=True)
class HonestNumbers:
    """An age line and intervals, with the coverage that was measured; each None where absent."""

    age_line: AgeLine | None
    intervals: Intervals | None

    measured: Coverage | None
    """Of intervals fitted on other subjects, counted on those left out."""

    absent: dict[str, str]
    """Why something is absent, by its name in ``calibration.json``."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values for ``calibration.json``."""
        return {
            "age_line": None if self.age_line is None else asdict(self.age_line),
            "intervals": None if self.intervals is None else asdict(self.intervals),
            "measured_coverage": None if self.measured is None else _coverage(self.measured),
            "absent": self.absent,
        }


def one_scan_each(subjects: Sequence[str], seed: int) -> Indices:
    """One scan of every subject, drawn by chance, in order.

    Two scans of one person have residuals that resemble each other: counted twice, that person
    would say twice how large errors are. Source: Dunn, Wasserman, Ramdas 2023, JASA 118:2491.

    Args:
        subjects: who each scan is of.
        seed: of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(subjects))
    names = np.asarray(subjects, dtype=str)[order]
    return np.sort(order[np.unique(names, return_index=True)[1]]).astype(np.int64)


def fit_honest_numbers(
    age_years: Floats, predicted_age: Floats, *, coverage: float, seed: int
) -> HonestNumbers:
    """The age line and the intervals of a model, and how often the intervals hold.

    Args:
        age_years: shape (N,); one scan of each subject.
        predicted_age: shape (N,), years; of scans that their network did not see.
        coverage: what the intervals are to hold, in (0, 1).
        seed: of the folds in which coverage is measured.
    """
    absent: dict[str, str] = {}
    line = _or_reason("age_line", absent, lambda: fit_age_line(age_years, predicted_age))
    if line is not None and line.slope < LEAST_SLOPE:
        absent["corrected_age"] = (
            f"predictions rise by {line.slope:.2f} years for a year of age, less than "
            f"{LEAST_SLOPE}: without that line they would be mostly noise"
        )
    intervals = _or_reason(
        "intervals", absent, lambda: fit_intervals(age_years, predicted_age, coverage)
    )
    measured = _or_reason(
        "measured_coverage",
        absent,
        lambda: measure_coverage(age_years, predicted_age, coverage, seed),
    )
    return HonestNumbers(age_line=line, intervals=intervals, measured=measured, absent=absent)


def measure_coverage(
    age_years: Floats, predicted_age: Floats, coverage: float, seed: int
) -> Coverage:
    """Coverage of intervals that were fitted on other subjects.

    Args:
        age_years: shape (N,); one scan of each subject.
        predicted_age: shape (N,), years.
        coverage: what the intervals are to hold.
        seed: of the folds.

    Raises:
        CohortError: if the others are too few for intervals.
    """
    low, high = intervals_of_others(age_years, predicted_age, coverage, seed)
    names = [str(number) for number in range(len(age_years))]
    return interval_coverage(age_years, low, high, nominal=coverage, subjects=names)


def intervals_of_others(
    age_years: Floats, predicted_age: Floats, coverage: float, seed: int
) -> tuple[Floats, Floats]:
    """Lower and upper bounds (N,) for every scan, by intervals fitted without its subject.

    Raises:
        CohortError: if the others are too few.
    """
    folds = draw_folds(len(age_years), seed)
    bounds = np.empty((2, len(age_years)))
    for fold in np.unique(folds):
        others, own = folds != fold, np.flatnonzero(folds == fold)
        fitted = fit_intervals(age_years[others], predicted_age[others], coverage)
        for index in own:
            interval = fitted.of(float(predicted_age[index]))
            bounds[:, index] = interval.low_years, interval.high_years
    return bounds[0], bounds[1]


def draw_folds(n: int, seed: int) -> Indices:
    """The fold of each of ``n`` subjects, (n,)."""
    folds = np.empty(n, dtype=np.int64)
    folds[np.random.default_rng(seed).permutation(n)] = np.arange(n) % NUM_FOLDS
    return folds


def _or_reason(name: str, absent: dict[str, str], fit: Callable[[], Found]) -> Found | None:
    try:
        return fit()
    except CohortError as error:
        absent[name] = str(error)
        return None


def _coverage(measured: Coverage) -> dict[str, Any]:
    return {
        "nominal": measured.nominal,
        "folds": NUM_FOLDS,
        **_row(measured.overall),
        "by_age_decade": [{"ages": row.label, **_row(row)} for row in measured.by_age],
    }


def _row(row: CoverageRow) -> dict[str, float | int | None]:
    return {
        "n": row.n,
        "coverage": row.coverage.value,
        "coverage_low": row.coverage.low,
        "coverage_high": row.coverage.high,
        "width_years": row.width_years.value,
    }
