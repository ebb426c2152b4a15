"""Accuracy of predicted ages, with intervals from resampling subjects.

The gap is predicted age minus age. Nothing here corrects for age bias. A statistic that the data do
not define (a correlation of fewer than three scans or of a constant) is None, never NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import (
    CONFIDENCE,
    MIN_SUBJECTS,
    NUM_RESAMPLES,
    Estimate,
    bootstrap_estimates,
    subject_groups,
)
from brainage.reporting.resampling import (
    RELATIVE_ROUNDING,
    Floats,
    ratio,
    weighted_correlation,
    weighted_ranks,
    weighted_spread,
)


@dataclass(frozen=True, kw_only=True)
class AgeMetrics:
    """Accuracy of one set of predictions; ages and errors in years."""

    n: int
    """Scans."""

    num_subjects: int
    """Subjects, the unit that is resampled."""

    age_min_years: float | None
    age_max_years: float | None

    mae_years: Estimate
    """Mean absolute gap."""

    rmse_years: Estimate
    """Root of the mean squared gap."""

    mean_gap_years: Estimate
    """Mean of predicted age minus age."""

    pearson_r: Estimate
    """Correlation of predicted age and age."""

    r2: Estimate
    """1 - SSE/SST."""

    pearson_gap_age: Estimate
    """Correlation of gap and age: the age bias."""

    spearman_gap_age: Estimate
    """Rank correlation of gap and age."""

    mae_mean_baseline_years: Estimate
    """Mean absolute error of predicting the mean age of the training scans."""

    mae_gain_over_mean_years: Estimate
    """How much smaller the MAE is than that of predicting the mean, paired scan by scan."""

    mae_over_range: Estimate
    """MAE divided by the age range of these scans."""

    def as_dict(self) -> dict[str, float | int | None]:
        """Flat: ``mae_years`` with ``mae_low`` and ``mae_high``, and so on for each statistic."""
        flat: dict[str, float | int | None] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Estimate):
                stem = entry.name.removesuffix("_years")
                flat[entry.name] = value.value
                flat[f"{stem}_low"] = value.low
                flat[f"{stem}_high"] = value.high
            else:
                flat[entry.name] = value
        return flat


STATISTICS = tuple(entry.name for entry in fields(AgeMetrics) if entry.type is Estimate)


def age_metrics(
    age_years: npt.ArrayLike,
    predicted_age: npt.ArrayLike,
    *,
    subjects: Sequence[str] | None = None,
    training_mean_age_years: float | npt.ArrayLike | None = None,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> AgeMetrics:
    """All metrics of one set of predictions.

    Args:
        age_years: shape (N,).
        predicted_age: shape (N,), years, uncorrected.
        subjects: who each scan is of; scans of one subject are drawn together. None: each scan is
            its own subject.
        training_mean_age_years: the prediction of the baseline, one number or, for predictions out
            of several folds, shape (N,).
        num_resamples: bootstrap resamples.
        confidence: coverage of the intervals, in (0, 1).
        seed: of the resampling.

    Raises:
        ValueError: if shapes differ or a number is not finite.
    """
    columns = _columns(age_years, predicted_age, training_mean_age_years)
    n = len(columns.age)
    groups = subject_groups(subjects, n)
    estimates = bootstrap_estimates(
        lambda weights: _statistics(columns, weights),
        groups,
        num_resamples=num_resamples,
        confidence=confidence,
        seed=seed,
    )
    return AgeMetrics(
        n=n,
        num_subjects=len(np.unique(groups)),
        age_min_years=float(columns.age.min()) if n else None,
        age_max_years=float(columns.age.max()) if n else None,
        **{name: estimates.get(name, Estimate(None)) for name in STATISTICS},
    )


class _Columns(NamedTuple):
    """The checked input, each (N,): ages, predictions, gaps, predictions of the baseline."""

    age: Floats
    predicted: Floats
    gap: Floats
    baseline: Floats | None


def _columns(
    age_years: npt.ArrayLike,
    predicted_age: npt.ArrayLike,
    training_mean_age_years: float | npt.ArrayLike | None,
) -> _Columns:
    age = np.asarray(age_years, dtype=np.float64)
    if age.ndim != 1:
        raise ValueError(f"age_years: expected one dimension, got shape {age.shape}")
    predicted = np.asarray(predicted_age, dtype=np.float64)
    if predicted.shape != age.shape:
        raise ValueError(f"predicted_age: expected shape {age.shape}, got {predicted.shape}")
    baseline = None
    if training_mean_age_years is not None:
        means = np.asarray(training_mean_age_years, dtype=np.float64)
        if means.shape not in {(), age.shape}:
            raise ValueError(
                f"training_mean_age_years: expected one number or {age.shape}, got {means.shape}"
            )
        baseline = np.broadcast_to(means, age.shape)
    named = {"age_years": age, "predicted_age": predicted, "training_mean_age_years": baseline}
    for name, column in named.items():
        if column is not None and not np.isfinite(column).all():
            bad = np.flatnonzero(~np.isfinite(column))
            raise ValueError(f"{name}: expected finite numbers, got {column[bad[0]]} at {bad[0]}")
    gap = predicted - age
    if len(gap) and np.ptp(gap) <= RELATIVE_ROUNDING * np.abs(predicted).max():
        # A constant gap differs by rounding only, and ranks would make differences of that.
        gap = np.full_like(gap, gap.mean())
    return _Columns(age, predicted, gap, baseline)


def _statistics(columns: _Columns, weights: Floats) -> dict[str, Floats]:
    """The statistics that N scans can define, under each row of weights (B, N), each (B,)."""
    age, predicted, gap, baseline = columns
    if not len(age):
        return {}
    total = weights.sum(axis=1)
    mae = weights @ np.abs(gap) / total
    squared_error = weights @ gap**2
    found = {
        "mae_years": mae,
        "rmse_years": np.sqrt(squared_error / total),
        "mean_gap_years": weights @ gap / total,
    }
    if baseline is not None:
        found["mae_mean_baseline_years"] = weights @ np.abs(baseline - age) / total
        found["mae_gain_over_mean_years"] = found["mae_mean_baseline_years"] - mae
    age_range = float(np.ptp(age))
    if age_range > 0:
        found["mae_over_range"] = mae / age_range
    if len(age) >= MIN_SUBJECTS:
        found["pearson_r"] = weighted_correlation(weights, age, predicted)
        found["r2"] = 1 - ratio(squared_error, weighted_spread(weights, age))
        found["pearson_gap_age"] = weighted_correlation(weights, age, gap)
        found["spearman_gap_age"] = weighted_correlation(
            weights, weighted_ranks(age, weights), weighted_ranks(gap, weights)
        )
    return found
