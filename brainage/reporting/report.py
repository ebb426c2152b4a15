"""Write a run's report as one HTML file that needs nothing else: no network, no second file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from brainage.reporting import figures, training_figures
from brainage.reporting.evaluation import group_tables, training_means
from brainage.reporting.figure_style import COLOURS, FAINT, INK, FileFormat
from brainage.reporting.page import page_environment, verbatim, write_page
from brainage.reporting.picture_files import write_pngs
from brainage.reporting.run_report import RunReport

# A small cohort's intervals are wide and its means move; below this the report says so.
SMALL_SAMPLE = 100


class InlineFigure(NamedTuple):
    """A figure within the page."""

    title: str
    caption: str
    svg: Markup


def write_report(report: RunReport, path: Path) -> None:
    """Write ``report`` to ``path`` as a self-contained page.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    write_page(render_report(report), path)


def render_report(report: RunReport) -> str:
    """The page as text."""
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            metrics=report.metrics,
            figures=report_figures(report),
            group_tables=group_tables(report.predictions, training_means(report.predictions)),
            small_sample=report.metrics.n < SMALL_SAMPLE,
            style=verbatim("report.css"),
            script=verbatim("report.js"),
        )
    )


class DrawnFigure(NamedTuple):
    """A figure as a file's content."""

    title: str
    caption: str
    content: bytes


def write_figures(report: RunReport, folder: Path) -> None:
    """Write the page's figures to ``folder`` as PNG files of their own, named by their titles.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    write_pictures(draw_figures(report, "png"), folder)


def write_pictures(figures: Sequence[DrawnFigure], folder: Path) -> None:
    """Write PNG figures to ``folder``, named by their titles.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    write_pngs({each.title.lower().replace(" ", "_"): each.content for each in figures}, folder)


def report_figures(report: RunReport) -> list[InlineFigure]:
    """The figures that this run has data for, as elements of the page."""
    return inline_figures(draw_figures(report, "svg"))


def inline_figures(figures: Sequence[DrawnFigure]) -> list[InlineFigure]:
    """SVG figures as elements of one page."""
    return [
        InlineFigure(figure.title, figure.caption, inline_svg(figure.content, f"figure{number}"))
        for number, figure in enumerate(figures, start=1)
    ]


def draw_figures(report: RunReport, file_format: FileFormat) -> list[DrawnFigure]:
    """The figures that this run has data for, in the order of the page."""
    age = np.array([scan.age_years for scan in report.predictions])
    predicted = np.array([scan.predicted_age for scan in report.predictions])
    sites = [scan.site for scan in report.predictions]
    drawn = [
        (
            "Predicted and chronological age",
            "Each mark is a scan that its model did not see. On the dashed line, the prediction "
            "equals the age.",
            figures.predicted_against_age(age, predicted, sites, file_format),
        ),
        (
            "Gap and age",
            "The gap is predicted minus chronological age, uncorrected. A falling line means that "
            "young brains are predicted too old and old ones too young.",
            figures.gap_against_age(age, predicted, sites, file_format),
        ),
        (
            "Error by age",
            "Mean absolute error of each age decade.",
            figures.error_by_age(age, predicted, file_format),
        ),
        (
            "Gap by site",
            "Median, quartiles and whiskers (1.5 interquartile ranges), with every scan.",
            figures.gap_by_site(age, predicted, sites, file_format),
        ),
    ]
    if report.block_mae_years:
        caption = "Held-out error of the prediction that each block makes by itself."
        bars = training_figures.block_errors(report.block_mae_years, file_format)
        drawn.append(("Error by block", caption, bars))
    curves = {
        "Training loss": training_figures.loss_curves(report.history, file_format),
        "Validation error": training_figures.validation_curves(report.history, file_format),
    }
    caption = "Over the epochs, of the network and, where recorded, of each block."
    drawn += [(title, caption, content) for title, content in curves.items() if content is not None]
    return [DrawnFigure(*figure) for figure in drawn]


def inline_svg(svg: bytes, prefix: str) -> Markup:
    """An SVG file as an element of a page.

    The ids get ``prefix``, since a page has one space of ids. Ink, grid and the first colour follow
    the page's light or dark colours. Prolog and namespaces, which name addresses, are not needed
    within HTML.
    """
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r'\s+xmlns(:xlink)?="[^"]*"', "", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    # The size is the page's business; the viewBox keeps the proportions.
    text = re.sub(r'(<svg\b[^>]*?)\s+width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg\b[^>]*?)\s+height="[^"]*"', r"\1", text, count=1)
    text = text.replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    text = text.replace(COLOURS[0].lower(), "var(--first)")
    # matplotlib escaped every label when it wrote the file.
    return Markup(text)  # noqa: S704
