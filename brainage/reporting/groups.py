"""The same metrics per site, per sex and per age decade."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import NUM_RESAMPLES
from brainage.reporting.metrics import AgeMetrics, age_metrics
from brainage.scans.record import UNKNOWN


@dataclass(frozen=True)
class GroupRow:
    """The metrics of one group of scans."""

    label: str
    metrics: AgeMetrics


def metrics_by_group(
    labels: Sequence[str | None],
    age_years: npt.ArrayLike,
    predicted_age: npt.ArrayLike,
    *,
    subjects: Sequence[str] | None = None,
    training_mean_age_years: float | npt.ArrayLike | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[GroupRow]:
    """One row per label, in the labels' order; arguments as of ``age_metrics``.

    Args:
        labels: the group of each scan; None counts as ``unknown``, which comes last.
        age_years: shape (N,).
        predicted_age: shape (N,), years.
        subjects: who each scan is of.
        training_mean_age_years: the prediction of the baseline.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: if lengths differ or a number is not finite.
    """
    age = np.asarray(age_years, dtype=np.float64)
    predicted = np.asarray(predicted_age, dtype=np.float64)
    if len(labels) != len(age):
        raise ValueError(f"labels: expected {len(age)} labels, got {len(labels)}")
    means = None
    if training_mean_age_years is not None:
        means = np.broadcast_to(np.asarray(training_mean_age_years, dtype=np.float64), age.shape)
    names = np.asarray([UNKNOWN if label is None else label for label in labels], dtype=str)
    rows = []
    for name in in_order(names.tolist()):
        members = np.flatnonzero(names == name)
        metrics = age_metrics(
            age[members],
            predicted[members],
            subjects=None if subjects is None else [subjects[index] for index in members],
            training_mean_age_years=None if means is None else means[members],
            num_resamples=num_resamples,
            seed=seed,
        )
        rows.append(GroupRow(name, metrics))
    return rows


def age_decades(age_years: npt.ArrayLike) -> list[str]:
    """The decade of each age, "0-9", "10-19" and so on."""
    starts = (np.asarray(age_years, dtype=np.float64) // 10 * 10).astype(int)
    return [f"{start}-{start + 9}" for start in starts]


def in_order(labels: Iterable[str]) -> list[str]:
    """The different labels as a reader expects them: numbers by value, ``unknown`` last."""

    def key(label: str) -> tuple[bool, list[tuple[int, str]]]:
        parts = re.findall(r"\d+|\D+", label)
        # A number sorts before any text, and texts among themselves.
        return label == UNKNOWN, [
            (int(part), "") if part.isdecimal() else (sys.maxsize, part) for part in parts
        ]

    return sorted(set(labels), key=key)
