"""Bootstrap by subject: many resamples as rows of weights, statistics of all rows at once.

Shapes: B resamples, N scans. A weight is how often a scan's subject was drawn.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# Weights held at once: 2 million doubles are 16 MB, however many resamples and scans there are.
WEIGHTS_AT_ONCE = 2_000_000
# A column that varies by less than this, relative to its size, is a constant with rounding errors.
RELATIVE_ROUNDING = 1e-9
# An interval needs at least this fraction of the resamples to define the statistic.
MIN_DEFINED_FRACTION = 0.8


def bootstrap_weights(groups: Indices, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Weights (B, N) of resamples that draw whole groups with replacement, in portions.

    Args:
        groups: the group of each scan, numbered from 0 without gaps, shape (N,).
        num_resamples: how many rows all portions have together.
        seed: the same seed gives the same weights.
    """
    random = np.random.default_rng(seed)
    num_groups = int(groups.max()) + 1
    portion = max(1, WEIGHTS_AT_ONCE // len(groups))
    for first in range(0, num_resamples, portion):
        rows = min(portion, num_resamples - first)
        counts = random.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=rows)
        yield counts[:, groups].astype(np.float64)


def weighted_correlation(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Pearson correlation under each row of weights, (B,); NaN where a column is constant.

    Args:
        weights: (B, N).
        x: (N,) or (B, N).
        y: (N,) or (B, N).
    """
    total = weights.sum(axis=1, keepdims=True)
    x_centred = x - (weights * x).sum(axis=1, keepdims=True) / total
    y_centred = y - (weights * y).sum(axis=1, keepdims=True) / total
    product = (weights * x_centred * y_centred).sum(axis=1)
    x_square = weighted_spread(weights, x)
    y_square = weighted_spread(weights, y)
    return ratio(product, np.sqrt(x_square * y_square)).clip(-1, 1)


def weighted_spread(weights: Floats, x: Floats) -> Floats:
    """Sum of squares about the weighted mean, (B,); exactly 0 for a constant with rounding errors.

    Args:
        weights: (B, N).
        x: (N,) or (B, N).
    """
    total = weights.sum(axis=1, keepdims=True)
    centred = x - (weights * x).sum(axis=1, keepdims=True) / total
    spread = (weights * centred**2).sum(axis=1)
    rounding = RELATIVE_ROUNDING * np.abs(x).max()
    return np.where(spread <= total[:, 0] * rounding**2, 0.0, spread)


def weighted_ranks(x: Floats, weights: Floats) -> Floats:
    """Rank of each scan within each resample (B, N), from 1; ties share their mean rank.

    A scan that was drawn w times stands for w tied scans; the rank of one not drawn is without
    meaning and has weight 0 wherever it is used.
    """
    order = np.argsort(x, kind="stable")
    in_order = x[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    mean_ranks = np.cumsum(counts, axis=1) - counts + (counts + 1) / 2
    place = np.empty(len(x), dtype=np.intp)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(x)]))
    ranks: Floats = mean_ranks[:, place]
    return ranks


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    defined = denominator != 0
    return np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)


def percentile_interval(draws: Sequence[Floats], confidence: float) -> tuple[float, float] | None:
    """Percentile interval of the resampled statistic; None when too few resamples define it."""
    drawn = np.concatenate(draws) if draws else np.empty(0)
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or len(defined) < MIN_DEFINED_FRACTION * len(drawn):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
