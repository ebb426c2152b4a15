"""Held-out predictions of folds that were drawn several times: each repeat, and their mean."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from brainage.config.run import RunConfig
from brainage.scans.table import csv_lines
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.fitting import Fit
from brainage.workflows.train.held_out import HeldOut, gather
from brainage.workflows.train.plan_fits import PlannedFit

Key = TypeVar("Key", bound=str | int)
Ages = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Repeats:
    """Predictions of the held-out scans: of every repeat, and for each scan the mean of them.

    ``folds`` of the mean are those of the first repeat.
    """

    each: tuple[HeldOut, ...]
    mean: HeldOut

    def summary(self) -> dict[str, Any]:
        """MAE in years of every repeat by itself, with mean and standard deviation."""
        errors = [float(np.abs(h.predicted_age - h.age_years).mean()) for h in self.each]
        return {
            "mae_years": errors,
            "mae_years_mean": statistics.mean(errors),
            "mae_years_sd": statistics.stdev(errors) if len(errors) > 1 else None,
        }

    def csv(self) -> str:
        """One row for every scan and repeat, as CSV text."""
        rows: list[list[object]] = [
            ["scan", "subject", "repeat", "fold", "age_years", "predicted_age"]
        ]
        for number, held_out in enumerate(self.each):
            for row, index in enumerate(held_out.indices):
                record = held_out.cohort.records[index]
                ages = (held_out.age_years[row], held_out.predicted_age[row])
                rows.append(
                    [record.scan, record.subject, number + 1, held_out.folds[row] + 1]
                    + [f"{age:.4f}" for age in ages]
                )
        return csv_lines(rows)


def gather_repeats(
    config: RunConfig, cohort: Cohort, planned: Sequence[PlannedFit], fits: Mapping[str, Fit]
) -> Repeats:
    """Collect the test predictions of all fits, repeat by repeat.

    Raises:
        CohortError: if a baseline cannot learn from these scans.
    """
    each = []
    for repeat in range(config.split.repeats):
        parts = [part for part in planned if part.repeat == repeat and part.split.test]
        splits = {part.name: part.split for part in parts}
        each.append(gather(config, cohort, splits, {name: fits[name] for name in splits}))
    return Repeats(tuple(each), _mean(each))


def _mean(each: Sequence[HeldOut]) -> HeldOut:
    """Every scan's mean over the repeats, which all test the same scans."""
    first = each[0]
    assert all(np.array_equal(other.indices, first.indices) for other in each)
    together = [other.ensemble_age for other in each if other.ensemble_age is not None]
    return replace(
        first,
        predicted_age=_mean_ages([other.predicted_age for other in each]),
        training_mean_years=_mean_ages([other.training_mean_years for other in each]),
        baseline_ages=_mean_by_key([other.baseline_ages for other in each]),
        ages_by_block=_mean_by_key([other.ages_by_block for other in each]),
        ensemble_age=_mean_ages(together) if len(together) == len(each) else None,
    )


def _mean_by_key(each: Sequence[Mapping[Key, Ages]]) -> dict[Key, Ages]:
    """Of what every repeat has."""
    shared = [key for key in each[0] if all(key in other for other in each)]
    return {key: _mean_ages([other[key] for other in each]) for key in shared}


def _mean_ages(ages: Sequence[Ages]) -> Ages:
    return np.asarray(np.mean(ages, axis=0), dtype=np.float64)
