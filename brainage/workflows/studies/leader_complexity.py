"""Figure S11: how many leaders a class needs, against how complex its images are.

For every class, the fraction of leaders with the lowest mean validation error over the seeds is
found among networks that were trained with several fractions; times W it is a number of leaders.
The complexity of a class is the mean width w of its images' spectra.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from brainage.config.studies import LeaderComplexityConfig
from brainage.config.validation import to_plain
from brainage.core.leaders import count_leaders
from brainage.errors import ConfigError
from brainage.workflows.studies.fits import write_result
from brainage.workflows.studies.samples import grey_sample
from brainage.workflows.studies.spectra import Numbers, smooth_spectra

INTERVAL_PERCENT = 95


@dataclass(frozen=True, kw_only=True)
class SweptFit:
    """One trained network of a sweep over fractions of leaders.

    ``error_percent_by_class``: validation error of each class, by its label from 0; None where a
    class has no validation image.
    """

    leader_fraction: float
    seed: int
    error_percent_by_class: Mapping[int, float | None]


@dataclass(frozen=True)
class NeededLeaders:
    """Of one class: the best fraction, the leaders it is, and its mean error with each fraction."""

    label: int
    fraction: float
    leaders: int
    error_percent: dict[float, float]


def run_leader_complexity(
    config: LeaderComplexityConfig,
    fits: Sequence[SweptFit],
    folder: Path,
    *,
    scale: str = "full",
    failed: Sequence[str] = (),
) -> dict[str, Any]:
    """Set the leaders that classes need against their complexity, and write ``result.json``.

    Args:
        config: of the study.
        fits: of the sweep, trained on the same image set.
        folder: made when needed.
        scale: of the experiment that the fits are from, in words; kept with the result.
        failed: fits of it without a result, in words; kept as well.

    Returns:
        Plain values: ``classes``, one row for each (``label``, ``name``, ``complexity``,
        ``leaders``, ``fraction``, ``error_percent``), and ``correlation``.

    Raises:
        ConfigError: if the fits are of one fraction only.
        DataError: if the image set is not there or damaged.
    """
    complexity, names, images = class_complexities(config)
    needed = [n for n in leaders_needed(fits, config.num_lf_workers) if n.label in complexity]
    rows = [
        {
            "label": each.label,
            "name": names[each.label],
            "images": images[each.label],
            "complexity": round(complexity[each.label], 5),
            "fraction": each.fraction,
            "leaders": each.leaders,
            "error_percent": {f"{k:g}": round(v, 4) for k, v in each.error_percent.items()},
        }
        for each in needed
    ]
    result = {
        "study": "leader_complexity",
        "config": to_plain(config),
        "data": config.data.name,
        "scale": scale,
        "failed": list(failed),
        "seeds": len({fit.seed for fit in fits}),
        "fractions": sorted({fit.leader_fraction for fit in fits}),
        "classes": rows,
        "correlation": rank_correlation(
            [complexity[each.label] for each in needed],
            [each.leaders for each in needed],
            num_resamples=config.num_resamples,
            seed=config.seed,
        ),
    }
    write_result(folder, result)
    return result


def leaders_needed(fits: Sequence[SweptFit], num_workers: int) -> list[NeededLeaders]:
    """For every class, the fraction of leaders with the lowest mean validation error.

    Ties go to the fewest leaders. Seeds without an error of a class are left out of its mean.

    Args:
        fits: any number of seeds of each fraction.
        num_workers: W; a fraction stands for ceil(fraction * W) leaders.

    Raises:
        ConfigError: if there are not two fractions.
    """
    fractions = sorted({fit.leader_fraction for fit in fits})
    if len(fractions) < 2:
        raise ConfigError(f"a sweep needs two fractions of leaders, got {fractions}")
    labels = sorted({label for fit in fits for label in fit.error_percent_by_class})
    needed = []
    for label in labels:
        means: dict[float, float] = {}
        for fraction in fractions:
            errors = [
                error
                for fit in fits
                if fit.leader_fraction == fraction
                and (error := fit.error_percent_by_class.get(label)) is not None
            ]
            if errors:
                means[fraction] = statistics.fmean(errors)
        if len(means) == len(fractions):
            # Rounded, since means of the same errors may differ in their last bit.
            best = min(means, key=lambda each: (round(means[each], 9), each))
            needed.append(NeededLeaders(label, best, count_leaders(num_workers, best), means))
    return needed


def class_complexities(
    config: LeaderComplexityConfig,
) -> tuple[dict[int, float], tuple[str, ...], dict[int, int]]:
    """By label the mean width of the images' spectra; the classes' names; images by label.

    Raises:
        DataError: if the image set is not there or damaged.
    """
    sample = grey_sample(config.data, per_class=config.images_per_class)
    widths = smooth_spectra(
        sample.pictures,
        order=config.order,
        resize=config.resize,
        mass=config.mass,
        largest_moment=config.largest_moment,
    ).heterogeneity
    labels = np.array(sample.labels)
    found = {int(label): widths[labels == label] for label in np.unique(labels)}
    means = {label: float(own.mean()) for label, own in found.items()}
    return means, sample.class_names, {label: len(own) for label, own in found.items()}


def rank_correlation(
    first: Sequence[float], second: Sequence[float], *, num_resamples: int, seed: int
) -> dict[str, float | int | None]:
    """Spearman's rank correlation with its uncertainty; all None where a side does not vary.

    Args:
        first: one number for each class.
        second: likewise.
        num_resamples: permutations, and bootstrap samples of the classes.
        seed: of the resampling.

    Returns:
        ``spearman``; ``p_permutation``, the share of permutations (the observed one among them)
        with as large an absolute correlation; ``low`` and ``high`` of the 95 % percentile
        interval over bootstrap samples in which both sides vary; ``classes``.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    empty = {"spearman": None, "p_permutation": None, "low": None, "high": None}
    observed = _spearman(a[None], b[None])[0] if len(a) > 2 else np.nan
    if np.isnan(observed):
        return {**empty, "classes": len(a)}
    generator = np.random.default_rng(seed)
    shuffled = generator.permuted(np.tile(b, (num_resamples, 1)), axis=1)
    permuted = _spearman(np.tile(a, (num_resamples, 1)), shuffled)
    as_large = int((np.abs(permuted) >= abs(observed) - 1e-12).sum())
    drawn = generator.integers(0, len(a), (num_resamples, len(a)))
    bootstrapped = _spearman(a[drawn], b[drawn])
    tail = (100 - INTERVAL_PERCENT) / 2
    low, high = np.nanpercentile(bootstrapped, [tail, 100 - tail])
    return {
        "spearman": round(float(observed), 4),
        "p_permutation": round((1 + as_large) / (1 + num_resamples), 6),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "classes": len(a),
    }


def _spearman(a_RN: Numbers, b_RN: Numbers) -> Numbers:
    """Row by row; NaN where a row does not vary."""
    a, b = (rankdata(each, axis=1) for each in (a_RN, b_RN))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    products = (a * b).sum(1)
    found: Numbers = np.where(scale > 0, products / np.where(scale > 0, scale, 1), np.nan)
    return found
