"""Fitting intervals: finite-sample quantiles of the residuals age - predicted age.

Source: Vovk, Gammerman, Shafer 2005, Algorithmic Learning in a Random World (split and Mondrian
conformal prediction); Lei et al. 2018, JASA 113:1094.
"""

import math

import numpy as np
import numpy.typing as npt

from brainage.bundle.intervals import IntervalBin, Intervals
from brainage.errors import CohortError

Floats = npt.NDArray[np.float64]

LEAST_IN_BIN = 40
"""How often the interval of a bin of n scans holds differs from bin to bin with a standard
deviation of about the root of coverage * (1 - coverage) / n: 0.05 for 40 scans and 0.9."""
MOST_BINS = 8
# Sums such as 0.95 * 20 miss a whole number by rounding.
_ROUNDING = 1e-9


def fewest_scans(coverage: float, *, two_tails: bool) -> int:
    """Scans without which an interval would have no end: a quantile beyond the largest residual."""
    missed = (1 - coverage) / 2 if two_tails else 1 - coverage
    return math.ceil(1 / missed - 1 - _ROUNDING)


def fit_intervals(age_years: Floats, predicted_age: Floats, coverage: float) -> Intervals:
    """Intervals for new scans of the population that these are a sample of.

    Args:
        age_years: shape (N,); one scan of each subject, or residuals are not exchangeable.
        predicted_age: shape (N,), years; of scans that their network did not see.
        coverage: in (0, 1): how many ages of new scans the intervals are to hold.

    Raises:
        CohortError: if there are too few scans.
    """
    least = fewest_scans(coverage, two_tails=False)
    if len(age_years) < least:
        raise CohortError(
            f"an interval that holds {coverage:.0%} of ages needs {least} people who were not "
            f"trained on, got {len(age_years)}"
        )
    starts = _bin_starts(predicted_age, coverage)
    place = np.searchsorted(starts, predicted_age, side="right")
    residuals = age_years - predicted_age
    bins = tuple(
        _interval_bin(start, residuals[place == number], coverage)
        for number, start in enumerate([None, *starts])
    )
    return Intervals(coverage=coverage, bins=bins)


def _bin_starts(predicted_age: Floats, coverage: float) -> list[float]:
    """Where bins of about equal size begin, as many as leave enough scans in every one."""
    least = max(LEAST_IN_BIN, fewest_scans(coverage, two_tails=True))
    for number in range(min(MOST_BINS, len(predicted_age) // least), 1, -1):
        cuts = np.quantile(predicted_age, np.arange(1, number) / number)
        starts = np.unique(cuts.round(1))
        sizes = np.bincount(np.searchsorted(starts, predicted_age, side="right"))
        if len(sizes) == len(starts) + 1 and sizes.min() >= least:
            return [float(start) for start in starts]
    return []


def _interval_bin(start: float | None, residuals: Floats, coverage: float) -> IntervalBin:
    """Quantiles of both tails; of the absolute residuals where there are too few for tails."""
    n, ordered = len(residuals), np.sort(residuals)
    if n >= fewest_scans(coverage, two_tails=True):
        rank = math.ceil((n + 1) * (1 + coverage) / 2 - _ROUNDING)
        low, high = ordered[n - rank], ordered[rank - 1]
    else:
        rank = math.ceil((n + 1) * coverage - _ROUNDING)
        high = np.sort(np.abs(residuals))[rank - 1]
        low = -high
    return IntervalBin(from_years=start, low_years=float(low), high_years=float(high), n=n)
