"""Any statistic of scans with its interval from resampling subjects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brainage.reporting.resampling import Floats, Indices, bootstrap_weights, percentile_interval

MIN_SUBJECTS = 3
NUM_RESAMPLES = 2000
CONFIDENCE = 0.95

Statistics = Callable[[Floats], Mapping[str, Floats]]
"""Statistics under each row of weights (B, N), each of shape (B,); NaN is not defined."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its percentile bootstrap interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def bootstrap_estimates(
    statistics: Statistics,
    groups: Indices,
    *,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Each statistic of all scans, with an interval when there are subjects enough.

    Args:
        statistics: what to estimate; it is called with one row of ones for the values.
        groups: the subject of each scan, numbered from 0 without gaps, shape (N,).
        num_resamples: bootstrap resamples.
        confidence: coverage of the intervals, in (0, 1).
        seed: of the resampling.
    """
    values = statistics(np.ones((1, len(groups))))
    draws: dict[str, list[Floats]] = {name: [] for name in values}
    if len(np.unique(groups)) >= MIN_SUBJECTS:
        for weights in bootstrap_weights(groups, num_resamples, seed):
            for name, drawn in statistics(weights).items():
                draws[name].append(drawn)
    return {
        name: _estimate(float(value[0]), draws[name], confidence) for name, value in values.items()
    }


def subject_groups(subjects: Sequence[str] | None, n: int) -> Indices:
    """The subject of each of ``n`` scans, numbered from 0; without names each is its own.

    Raises:
        ValueError: if there are not ``n`` names.
    """
    if subjects is None:
        return np.arange(n)
    if len(subjects) != n:
        raise ValueError(f"subjects: expected {n} names, got {len(subjects)}")
    return np.unique(np.asarray(subjects, dtype=str), return_inverse=True)[1].astype(np.intp)


def _estimate(value: float, draws: Sequence[Floats], confidence: float) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None)
    return Estimate(value, *(percentile_interval(draws, confidence) or (None, None)))
