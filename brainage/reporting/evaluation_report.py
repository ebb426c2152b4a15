"""The page of an evaluation: one HTML file that needs nothing else, and its figures as files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from brainage.reporting import evaluation_figures, figures
from brainage.reporting.evaluation import Evaluation
from brainage.reporting.figure_style import FileFormat
from brainage.reporting.page import page_environment, verbatim, write_page
from brainage.reporting.report import SMALL_SAMPLE, DrawnFigure, inline_figures, write_pictures
from brainage.reporting.run_report import FailedScan


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Everything that the page of an evaluation shows."""

    title: str
    """Name of the model or of the table of predictions."""

    source: str
    """The evaluated data, as the user named them."""

    created: datetime
    evaluation: Evaluation

    checks: tuple[str, ...]
    """What was checked before anything was measured, a sentence each."""

    warnings: tuple[str, ...] = ()
    """What could not be checked, or was found and let pass by the user; a sentence each."""

    num_models: int = 1
    """Models that have been scored on these scans, this one included."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Further names and values, such as the model's hash."""

    failed_scans: tuple[FailedScan, ...] = ()


def write_evaluation_report(report: EvaluationReport, path: Path) -> None:
    """Write the page.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    write_page(render_evaluation_report(report), path)


def write_evaluation_figures(report: EvaluationReport, folder: Path) -> None:
    """Write the page's figures as PNG files, named by their titles.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    write_pictures(draw_evaluation(report.evaluation, "png"), folder)


def render_evaluation_report(report: EvaluationReport) -> str:
    """The page as text."""
    return (
        page_environment()
        .get_template("evaluation.html.j2")
        .render(
            report=report,
            evaluation=report.evaluation,
            metrics=report.evaluation.metrics,
            figures=inline_figures(draw_evaluation(report.evaluation, "svg")),
            small_sample=report.evaluation.metrics.n < SMALL_SAMPLE,
            style=verbatim("report.css", "evaluation.css"),
            script=verbatim("report.js"),
        )
    )


def draw_evaluation(evaluation: Evaluation, file_format: FileFormat) -> list[DrawnFigure]:
    """The figures that there are data for, in the order of the page."""
    scans = evaluation.predictions
    age = np.array([scan.age_years for scan in scans])
    predicted = np.array([scan.predicted_age for scan in scans])
    sites = [scan.site for scan in scans]
    drawn = [
        DrawnFigure(
            "Predicted and chronological age",
            "Each mark is a scan. On the dashed line, the prediction equals the age.",
            figures.predicted_against_age(age, predicted, sites, file_format),
        ),
        DrawnFigure(
            "Gap and age",
            "The gap is predicted minus chronological age, uncorrected. A falling line means that "
            "young brains are predicted too old and old ones too young.",
            figures.gap_against_age(age, predicted, sites, file_format),
        ),
    ]
    drawn += [
        DrawnFigure(
            f"Gap and age after {entry.correction.name.replace(' / ', ' and ')}",
            f"Corrected by lines fitted on other subjects: {entry.correction.formula}.",
            figures.gap_against_age(age, entry.correction.ages_years, sites, file_format),
        )
        for entry in evaluation.corrected
    ]
    drawn += [
        DrawnFigure(
            "Error by age",
            "Mean absolute error of each age decade.",
            figures.error_by_age(age, predicted, file_format),
        ),
        DrawnFigure(
            "Gap by site",
            "Median, quartiles and whiskers (1.5 interquartile ranges), with every scan.",
            figures.gap_by_site(age, predicted, sites, file_format),
        ),
    ]
    return drawn + _drawn_where_known(evaluation, file_format)


def _drawn_where_known(evaluation: Evaluation, file_format: FileFormat) -> list[DrawnFigure]:
    """Figures of repeated scans and of intervals."""
    drawn = []
    if evaluation.reliability is not None:
        caption = (
            "Two scans of each subject, the closest in age. Solid lines are the mean difference "
            "and the limits of agreement, bands their 95 % intervals."
        )
        picture = evaluation_figures.bland_altman(evaluation.reliability, file_format)
        drawn.append(DrawnFigure("Agreement of repeated scans", caption, picture))
    if evaluation.slope is not None:
        scans = evaluation.predictions
        picture = evaluation_figures.age_within_subjects(
            np.array([scan.age_years for scan in scans]),
            np.array([scan.predicted_age for scan in scans]),
            [scan.subject for scan in scans],
            file_format,
        )
        caption = "Each line is a subject with several scans."
        drawn.append(DrawnFigure("Ageing within subjects", caption, picture))
    if evaluation.coverage is not None:
        picture = evaluation_figures.coverage_by_age(evaluation.coverage, file_format)
        caption = "The dashed line is what the intervals were made for, where that is known."
        drawn.append(DrawnFigure("Coverage by age", caption, picture))
    return drawn
