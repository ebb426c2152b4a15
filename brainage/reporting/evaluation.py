"""Everything that is measured of one set of predictions, as numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from brainage.reporting.age_bias import AgeBias, Correction, age_bias, corrections
from brainage.reporting.coverage import Coverage, interval_coverage
from brainage.reporting.groups import GroupRow, age_decades, metrics_by_group
from brainage.reporting.metrics import AgeMetrics, age_metrics
from brainage.reporting.reliability import (
    LongitudinalSlope,
    Reliability,
    longitudinal_slope,
    reliability,
)
from brainage.reporting.resampling import Floats
from brainage.reporting.run_report import PredictedScan

MeanOf = Literal["the training scans", "the other subjects here"]
"""Whose mean age the baseline predicts: where it was trained is not known of every table."""


class GroupTable(NamedTuple):
    """The same metrics for each group."""

    title: str
    label: str
    rows: Sequence[GroupRow]


@dataclass(frozen=True, kw_only=True)
class CorrectedAges:
    """Ages corrected for the bias, and their metrics, which are no headline."""

    correction: Correction
    metrics: AgeMetrics
    bias: AgeBias


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All numbers of an evaluation; ages and gaps are uncorrected but in ``corrected``."""

    predictions: tuple[PredictedScan, ...]
    metrics: AgeMetrics

    mean_of: MeanOf
    """Whose mean the baseline is."""

    groups: tuple[GroupTable, ...]
    """By site, sex and age decade."""

    bias: AgeBias
    corrected: tuple[CorrectedAges, ...]
    reliability: Reliability | None
    slope: LongitudinalSlope | None
    coverage: Coverage | None

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values, without those of single scans."""
        tables = {
            f"by_{table.title.removeprefix('By ').replace(' ', '_')}": {
                row.label: row.metrics.as_dict() for row in table.rows
            }
            for table in self.groups
        }
        corrected = {
            entry.correction.key: {
                "name": entry.correction.name,
                "formula": entry.correction.formula,
                "bias": asdict(entry.bias),
                **entry.metrics.as_dict(),
            }
            for entry in self.corrected
        }
        repeated = None if self.reliability is None else asdict(self.reliability)
        for column in ("first_predicted_age", "second_predicted_age", "gap_difference_years"):
            if repeated is not None:
                del repeated[column]
        return {
            "overall": self.metrics.as_dict(),
            "mean_baseline_of": self.mean_of,
            **tables,
            "age_bias": asdict(self.bias),
            "corrected_out_of_fold": corrected,
            "reliability": repeated,
            "longitudinal_slope": None if self.slope is None else asdict(self.slope),
            "coverage": None if self.coverage is None else asdict(self.coverage),
        }


def evaluate_predictions(
    predictions: Sequence[PredictedScan], *, nominal_coverage: float | None = None
) -> Evaluation:
    """Measure everything that the predictions have data for.

    Args:
        predictions: at least one; all with a training mean, or the baseline is that of the other
            subjects; all with an interval, or coverage is left out.
        nominal_coverage: what the intervals say.

    Raises:
        ValueError: if a number is not finite.
    """
    age = np.array([scan.age_years for scan in predictions])
    predicted = np.array([scan.predicted_age for scan in predictions])
    subjects = [scan.subject for scan in predictions]
    means, mean_of = _baseline(predictions)
    corrected = tuple(
        CorrectedAges(
            correction=found,
            metrics=age_metrics(
                age, found.ages_years, subjects=subjects, training_mean_age_years=means
            ),
            bias=age_bias(age, found.ages_years, subjects),
        )
        for found in corrections(age, predicted, subjects)
    )
    return Evaluation(
        predictions=tuple(predictions),
        metrics=age_metrics(age, predicted, subjects=subjects, training_mean_age_years=means),
        mean_of=mean_of,
        groups=group_tables(predictions, means),
        bias=age_bias(age, predicted, subjects),
        corrected=corrected,
        reliability=reliability(age, predicted, subjects),
        slope=longitudinal_slope(age, predicted, subjects),
        coverage=_coverage(predictions, nominal_coverage),
    )


def group_tables(
    scans: Sequence[PredictedScan], baseline_years: Floats | None
) -> tuple[GroupTable, ...]:
    """The metrics by site, by sex and by age decade.

    Args:
        scans: the predictions.
        baseline_years: what the baseline predicts for each, (N,); None for no baseline.
    """
    age = [scan.age_years for scan in scans]
    labels: dict[str, tuple[str, list[str | None]]] = {
        "By site": ("site", [scan.site for scan in scans]),
        "By sex": ("sex", [scan.sex for scan in scans]),
        "By age decade": ("age (years)", list(age_decades(age))),
    }
    return tuple(
        GroupTable(
            title,
            label,
            metrics_by_group(
                names,
                age,
                [scan.predicted_age for scan in scans],
                subjects=[scan.subject for scan in scans],
                training_mean_age_years=baseline_years,
            ),
        )
        for title, (label, names) in labels.items()
    )


def training_means(scans: Sequence[PredictedScan]) -> Floats | None:
    """What predicting the training mean says of each scan, (N,); None unless known of all."""
    known = [mean for scan in scans if (mean := scan.training_mean_age_years) is not None]
    return np.array(known) if len(known) == len(scans) else None


def _baseline(scans: Sequence[PredictedScan]) -> tuple[Floats | None, MeanOf]:
    """The mean age of the training scans, or else of the other subjects, for each scan."""
    means = training_means(scans)
    if means is not None:
        return means, "the training scans"
    age = np.array([scan.age_years for scan in scans])
    subjects = np.array([scan.subject for scan in scans], dtype=str)
    others = [age[subjects != subject] for subject in subjects]
    if not all(len(ages) for ages in others):
        return None, "the other subjects here"
    return np.array([ages.mean() for ages in others]), "the other subjects here"


def _coverage(scans: Sequence[PredictedScan], nominal: float | None) -> Coverage | None:
    low = [scan.interval_low for scan in scans]
    high = [scan.interval_high for scan in scans]
    if None in low or None in high:
        return None
    return interval_coverage(
        [scan.age_years for scan in scans],
        np.array(low, dtype=np.float64),
        np.array(high, dtype=np.float64),
        nominal=nominal,
        subjects=[scan.subject for scan in scans],
    )
