"""How the gap moves with age, and what is left of it after a correction fitted on other subjects.

The gap is predicted age minus age. Corrected ages are for looking at the gap, not for judging a
model: they use the age itself, and look good for a model that knows nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import Estimate, bootstrap_estimates, subject_groups
from brainage.reporting.formatting import MINUS
from brainage.reporting.resampling import Floats, Indices, ratio, weighted_spread

TIMES = "\N{MULTIPLICATION SIGN}"
NUM_FOLDS = 5
MIN_SUBJECTS_TO_CORRECT = 20
# A flatter line cannot be inverted: a year of predicted age would stand for twenty years or more.
MIN_SLOPE = 0.05


@dataclass(frozen=True, kw_only=True)
class AgeBias:
    """The least-squares line of the gap over age."""

    slope: Estimate
    """Years of gap per year of age; 0 is no bias."""

    intercept_years: Estimate
    """Gap where the line meets age 0."""


class Correction(NamedTuple):
    """Ages corrected for the bias, each by a line fitted on other subjects."""

    key: str
    """Short name, for columns and JSON."""
    name: str
    formula: str
    ages_years: Floats
    """Corrected predicted ages, (N,)."""


def age_bias(
    age_years: npt.ArrayLike, predicted_age: npt.ArrayLike, subjects: Sequence[str] | None = None
) -> AgeBias:
    """The line of the gap over age, with intervals from resampling subjects.

    Args:
        age_years: shape (N,).
        predicted_age: shape (N,), years.
        subjects: who each scan is of; None: each scan is its own subject.
    """
    age = np.asarray(age_years, dtype=np.float64)
    gap = np.asarray(predicted_age, dtype=np.float64) - age

    def line(weights: Floats) -> dict[str, Floats]:
        slope, intercept = _weighted_line(weights, age, gap)
        return {"slope": slope, "intercept": intercept}

    found = bootstrap_estimates(line, subject_groups(subjects, len(age)))
    return AgeBias(slope=found["slope"], intercept_years=found["intercept"])


def corrections(
    age_years: npt.ArrayLike, predicted_age: npt.ArrayLike, subjects: Sequence[str]
) -> list[Correction]:
    """Corrected ages, out of fold; none when there are too few subjects or the line is flat.

    Every fifth subject by age is a fold; a fold's line is fitted on the scans of the others.

    Args:
        age_years: shape (N,).
        predicted_age: shape (N,), years.
        subjects: who each scan is of.

    Source: Cole et al. 2018 (the line of predicted age over age, inverted); Beheshti et al. 2019
    (the line of the gap over age, subtracted). That of de Lange and Cole 2020 adds age minus the
    first line, which is the second one subtracted: for least squares they are the same.
    """
    age = np.asarray(age_years, dtype=np.float64)
    predicted = np.asarray(predicted_age, dtype=np.float64)
    groups = subject_groups(subjects, len(age))
    if len(np.unique(groups)) < MIN_SUBJECTS_TO_CORRECT:
        return []
    slope, intercept = _lines_of_others(age, predicted, _folds(age, groups))
    found = []
    if np.isfinite(slope).all():
        found.append(
            Correction(
                "beheshti",
                "Beheshti / de Lange",
                f"predicted age + age {MINUS} (slope {TIMES} age + intercept)",
                predicted + age - (slope * age + intercept),
            )
        )
    if (np.abs(slope) >= MIN_SLOPE).all():
        found.append(
            Correction(
                "cole",
                "Cole",
                f"(predicted age {MINUS} intercept) / slope",
                (predicted - intercept) / slope,
            )
        )
    return found


def _lines_of_others(age: Floats, predicted: Floats, folds: Indices) -> tuple[Floats, Floats]:
    """Slope and intercept for each scan of predicted age over age, without the scan's own fold."""
    slopes, intercepts = np.empty_like(age), np.empty_like(age)
    for fold in range(NUM_FOLDS):
        others = (folds != fold).astype(np.float64)[None]
        slope, intercept = _weighted_line(others, age, predicted)
        slopes[folds == fold], intercepts[folds == fold] = slope[0], intercept[0]
    return slopes, intercepts


def _folds(age: Floats, groups: Indices) -> Indices:
    """The fold of each scan: subjects in the order of their mean ages are dealt out in turn."""
    counts = np.bincount(groups)
    order = np.argsort(np.bincount(groups, weights=age) / counts, kind="stable")
    fold = np.empty(len(counts), dtype=np.intp)
    fold[order] = np.arange(len(counts)) % NUM_FOLDS
    return fold[groups]


def _weighted_line(weights: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept of least squares under each row of weights (B, N), each (B,)."""
    total = weights.sum(axis=1)
    x_mean, y_mean = weights @ x / total, weights @ y / total
    shared = (weights * (x - x_mean[:, None]) * (y - y_mean[:, None])).sum(axis=1)
    slope = ratio(shared, weighted_spread(weights, x))
    return slope, y_mean - slope * x_mean
