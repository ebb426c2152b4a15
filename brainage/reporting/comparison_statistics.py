"""Differences between ways of predicting the same scans, with intervals over subjects.

Errors are those of the same scans in the same order, so scans that are hard for everyone cancel.
Subjects are drawn with replacement, all scans of a subject together. Where a scan was predicted
with several seeds, its errors are averaged over them first: the interval says how another sample of
subjects would differ, and the seeds' own spread is told apart from it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import Estimate, bootstrap_estimates, subject_groups
from brainage.reporting.resampling import Floats

NUM_RESAMPLES = 5000


def mean_over_seeds(errors_SN: npt.ArrayLike) -> Floats:
    """Error of each scan (N,), averaged over the seeds that tested it.

    Args:
        errors_SN: absolute errors of S seeds and N scans in years; NaN where a seed did not test
            the scan. Every scan is tested by one seed at least.
    """
    errors = np.asarray(errors_SN, dtype=np.float64)
    tested = np.isfinite(errors)
    means: Floats = np.where(tested, errors, 0.0).sum(axis=0) / tested.sum(axis=0)
    return means


def mean_with_interval(
    values: npt.ArrayLike,
    subjects: Sequence[str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean over scans with its 95 % percentile bootstrap interval over subjects.

    Args:
        values: one number for each scan, shape (N,), N > 0.
        subjects: who each scan is of.
        num_resamples: bootstrap resamples.
        seed: of the resampling; the same for all, so that intervals can be compared.

    Returns:
        No interval with fewer than three subjects.

    Raises:
        ValueError: if there is no scan, or the lengths differ.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not len(column):
        raise ValueError(f"values: expected one number for each scan, got shape {column.shape}")
    return bootstrap_estimates(
        lambda weights: {"mean": weights @ column / weights.sum(axis=1)},
        subject_groups(subjects, len(column)),
        num_resamples=num_resamples,
        seed=seed,
    )["mean"]


def paired_difference(
    errors_a: npt.ArrayLike,
    errors_b: npt.ArrayLike,
    subjects: Sequence[str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """MAE of ``a`` minus that of ``b`` on the same scans: negative where ``a`` is better.

    Args:
        errors_a: absolute errors in years, shape (N,).
        errors_b: those of the same scans, in the same order.
        subjects: who each scan is of.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: if there is no scan, or the lengths differ.
    """
    first = np.asarray(errors_a, dtype=np.float64)
    second = np.asarray(errors_b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"errors_b: expected shape {first.shape}, got {second.shape}")
    difference = first - second
    return mean_with_interval(difference, subjects, num_resamples=num_resamples, seed=seed)
