"""What an evaluation leaves behind: report, figures, metrics, and a row for every scan."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brainage.reporting.counts import counted
from brainage.reporting.estimates import Estimate
from brainage.reporting.evaluation import Evaluation, evaluate_predictions
from brainage.reporting.evaluation_report import (
    EvaluationReport,
    write_evaluation_figures,
    write_evaluation_report,
)
from brainage.reporting.formatting import decimals, interval
from brainage.scans.table import csv_lines
from brainage.workflows.evaluate.checks import Checks
from brainage.workflows.evaluate.table import PredictedTable
from brainage.workflows.train.run_folder import write_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Predictions that passed the checks, with what is to be said of them."""

    title: str
    source: str
    table: PredictedTable
    checks: Checks
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvaluateSummary:
    """Result of ``brainage evaluate``; ``metrics.json`` holds all of it and more."""

    evaluation: Evaluation
    failed: int
    models_scored: int
    warnings: tuple[str, ...]
    out: Path

    @property
    def report(self) -> Path:
        """The page."""
        return self.out / "report.html"

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan has no prediction."""
        return 1 if self.failed else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        metrics, evaluation = self.evaluation.metrics, self.evaluation
        lines = [
            f"scans: {metrics.n}, subjects: {metrics.num_subjects}, ages "
            f"{decimals(metrics.age_min_years, 1)} to {decimals(metrics.age_max_years, 1)} years; "
            f"{self.failed} failed",
            f"mean absolute error, uncorrected: {_shown(metrics.mae_years, ' years')}",
            f"predicting the mean age of {evaluation.mean_of}: "
            f"{_shown(metrics.mae_mean_baseline_years, ' years')}",
            f"slope of the gap over age: {_shown(evaluation.bias.slope, ' years per year')}",
        ]
        if (repeated := evaluation.reliability) is not None:
            pairs = counted(repeated.num_pairs, "pair")
            icc = _shown(repeated.icc_2_1_gap)
            lines.append(f"repeated scans: ICC(2,1) of the gap {icc}, {pairs}")
        if evaluation.slope is not None:
            slope = _shown(evaluation.slope.years_per_year, " years per year")
            lines.append(f"ageing within subjects: {slope}")
        lines.append(f"models scored on these scans: {self.models_scored}")
        return [*lines, f"report: {self.report}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; metrics are overall and uncorrected."""
        evaluation = self.evaluation
        repeated = evaluation.reliability
        return {
            **evaluation.metrics.as_dict(),
            "gap_slope_per_year": evaluation.bias.slope.value,
            "icc_2_1_gap": None if repeated is None else repeated.icc_2_1_gap.value,
            "longitudinal_slope": (
                None if evaluation.slope is None else evaluation.slope.years_per_year.value
            ),
            "failed": self.failed,
            "models_scored": self.models_scored,
            "warnings": list(self.warnings),
            "out": str(self.out),
            "report": str(self.report),
        }


def write_evaluation(scored: Scored, out: Path) -> EvaluateSummary:
    """Measure and write every result.

    Raises:
        RunFolderError: if something cannot be written.
    """
    checks = scored.checks
    for warning in checks.warnings:
        _log.warning("%s", warning)
    table = scored.table
    evaluation = evaluate_predictions(table.scans, nominal_coverage=table.nominal_coverage)
    summary = EvaluateSummary(
        evaluation=evaluation,
        failed=len(table.failed),
        models_scored=len(checks.earlier) + 1,
        warnings=tuple(checks.warnings),
        out=out,
    )
    report = EvaluationReport(
        title=scored.title,
        source=scored.source,
        created=datetime.now(UTC),
        evaluation=evaluation,
        checks=tuple(checks.passed),
        warnings=tuple(checks.warnings),
        num_models=summary.models_scored,
        facts=scored.facts,
        failed_scans=table.failed,
    )
    write_text(out / "evaluated.csv", evaluated_rows(evaluation, table.model))
    write_text(out / "metrics.json", json.dumps(_metrics(scored, summary), indent=2) + "\n")
    write_evaluation_figures(report, out / "figures")
    write_evaluation_report(report, summary.report)
    return summary


def evaluated_rows(evaluation: Evaluation, model: str) -> str:
    """One row for each evaluated scan, with raw and corrected ages, as CSV text."""
    corrected = {
        f"predicted_age_{entry.correction.key}": entry.correction.ages_years
        for entry in evaluation.corrected
    }
    names = ("scan", "subject", "session", "sex", "site", "fold")
    numbers = (
        "age_years",
        "predicted_age",
        "training_mean_age_years",
        "interval_low",
        "interval_high",
    )
    rows: list[list[object]] = [[*names, *numbers, "brain_age_gap", *corrected, "model_hash"]]
    for index, scan in enumerate(evaluation.predictions):
        values = [
            *(getattr(scan, name) for name in numbers),
            scan.predicted_age - scan.age_years,
            *(float(ages[index]) for ages in corrected.values()),
        ]
        rows.append(
            [
                *(getattr(scan, name) for name in names),
                *("" if value is None else f"{value:.4f}" for value in values),
                model,
            ]
        )
    return csv_lines(rows)


def _metrics(scored: Scored, summary: EvaluateSummary) -> dict[str, Any]:
    return {
        "model": scored.title,
        "source": scored.source,
        **scored.facts,
        "failed": summary.failed,
        "models_scored": summary.models_scored,
        "checks": scored.checks.passed,
        "warnings": scored.checks.warnings,
        **summary.evaluation.as_dict(),
    }


def _shown(estimate: Estimate, unit: str = "") -> str:
    between = interval(estimate)
    value = "unknown" if estimate.value is None else f"{decimals(estimate.value)}{unit}"
    return f"{value} (95 % interval {between})" if between else value
