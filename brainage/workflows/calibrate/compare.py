"""What calibrating changes, measured on people whom neither line nor interval was fitted on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brainage.bundle.age_line import AgeLine, ages_allow_slope, least_squares
from brainage.bundle.honest_numbers import draw_folds, intervals_of_others
from brainage.bundle.intervals import Intervals
from brainage.bundle.model import ModelBundle
from brainage.reporting.coverage import coverage_row
from brainage.reporting.estimates import Estimate, bootstrap_estimates
from brainage.reporting.resampling import Floats, weighted_correlation, weighted_ranks
from brainage.workflows.calibrate.controls import Controls


@dataclass(frozen=True, kw_only=True)
class AgeRow:
    """One way to give ages; in years, with intervals from resampling people."""

    name: str
    mae_years: Estimate
    mean_gap_years: Estimate
    spearman_gap_age: Estimate

    mae_change_years: Estimate
    """MAE minus that of the raw predictions, person by person; below 0 is better."""


@dataclass(frozen=True, kw_only=True)
class IntervalRow:
    """One way to give intervals."""

    name: str
    nominal: float
    coverage: Estimate
    width_years: Estimate


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Before and after. ``ages`` holds what each row's ages are, (N,), by its name."""

    rows: tuple[AgeRow, ...]
    intervals: tuple[IntervalRow, ...]
    ages: Mapping[str, Floats]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "ages": [asdict(row) for row in self.rows],
            "intervals": [asdict(row) for row in self.intervals],
        }


RAW = "raw"
OWN = "corrected by the model's own line"
LOCAL = "corrected by the local line, out of fold"
OWN_INTERVALS = "the model's own"
LOCAL_INTERVALS = "local, out of fold"


def compare(controls: Controls, bundle: ModelBundle, coverage: float, seed: int) -> Comparison:
    """Measure raw, before and after on the same people.

    Args:
        controls: one scan each.
        bundle: before calibrating.
        coverage: of the new intervals.
        seed: of the folds.
    """
    age, predicted = controls.age_years, controls.predicted_age
    ages = {RAW: predicted}
    own = None if bundle.age_line is None else _corrected(bundle.age_line, predicted)
    local = corrected_by_others(age, predicted, seed)
    ages |= {name: each for name, each in ((OWN, own), (LOCAL, local)) if each is not None}
    rows = [_age_row(name, age, each, predicted) for name, each in ages.items()]
    intervals = []
    if bundle.intervals is not None:
        bounds = _bounds(bundle.intervals, predicted)
        intervals.append(_interval_row(OWN_INTERVALS, bundle.intervals.coverage, age, *bounds))
    bounds = intervals_of_others(age, predicted, coverage, seed)
    intervals.append(_interval_row(LOCAL_INTERVALS, coverage, age, *bounds))
    return Comparison(rows=tuple(rows), intervals=tuple(intervals), ages=ages)


def corrected_by_others(age_years: Floats, predicted_age: Floats, seed: int) -> Floats | None:
    """Every person's age corrected by a line fitted on others; None where one is too flat."""
    slope = ages_allow_slope(age_years)
    folds = draw_folds(len(age_years), seed)
    corrected = np.empty_like(age_years)
    for fold in np.unique(folds):
        others = folds != fold
        line = least_squares(age_years[others], predicted_age[others], slope=slope)
        found = _corrected(line, predicted_age[~others])
        if found is None:
            return None
        corrected[~others] = found
    return corrected


def _corrected(line: AgeLine, predicted_age: Floats) -> Floats | None:
    found = [line.corrected(float(each)) for each in predicted_age]
    return None if None in found else np.array(found, dtype=np.float64)


def _bounds(intervals: Intervals, predicted_age: Floats) -> tuple[Floats, Floats]:
    found = [intervals.of(float(each)) for each in predicted_age]
    return np.array([each.low_years for each in found]), np.array(
        [each.high_years for each in found]
    )


def _age_row(name: str, age: Floats, given: Floats, raw: Floats) -> AgeRow:
    gap, raw_gap = given - age, raw - age

    def statistics(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        error = weights @ np.abs(gap) / total
        return {
            "mae": error,
            "gap": weights @ gap / total,
            "spearman": weighted_correlation(
                weights, weighted_ranks(age, weights), weighted_ranks(gap, weights)
            ),
            "change": error - weights @ np.abs(raw_gap) / total,
        }

    found = bootstrap_estimates(statistics, np.arange(len(age)))
    return AgeRow(
        name=name,
        mae_years=found["mae"],
        mean_gap_years=found["gap"],
        spearman_gap_age=found["spearman"],
        mae_change_years=found["change"],
    )


def _interval_row(name: str, nominal: float, age: Floats, low: Floats, high: Floats) -> IntervalRow:
    found = coverage_row(name, age, low, high, np.arange(len(age)))
    return IntervalRow(
        name=name, nominal=nominal, coverage=found.coverage, width_years=found.width_years
    )
