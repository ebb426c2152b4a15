"""``comparison.html``: one file that needs nothing else, and its figures as files of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from brainage.reporting import comparison_figures as draw
from brainage.reporting.comparison import Comparison
from brainage.reporting.figure_style import FileFormat
from brainage.reporting.page import page_environment, verbatim, write_page
from brainage.reporting.picture_files import write_pngs
from brainage.reporting.report import InlineFigure, inline_svg

SMALL_SAMPLE = 100

_Draw = Callable[[Comparison, FileFormat], bytes | None]


class _Figure(NamedTuple):
    name: str
    title: str
    caption: str
    draw: _Draw


FIGURES = (
    _Figure(
        "errors_by_arm",
        "Error of every arm",
        "Held-out mean absolute error with its 95 % interval over subjects; small marks below are "
        "the single seeds. Dark: baselines.",
        draw.errors_by_arm,
    ),
    _Figure(
        "differences",
        "Difference from the reference",
        "Paired on the same scans, with its 95 % interval. Left of the line is better than the "
        "reference; an interval across the line can be chance.",
        draw.differences,
    ),
    _Figure(
        "errors_by_block",
        "Error of every block",
        "Held-out error of the prediction that each block makes by itself, where blocks predict.",
        draw.errors_by_block,
    ),
    _Figure(
        "step_times",
        "Time of a training step",
        "Median of steps run in turn with those of the other arms; in brackets the ratio to the "
        "reference.",
        draw.step_times,
    ),
    _Figure(
        "memory",
        "Memory of training",
        "Highest during steps above the network at rest, each arm in a process of its own; in "
        "brackets the ratio to the reference.",
        draw.memory,
    ),
    _Figure(
        "validation_over_epochs",
        "Validation error over epochs",
        "Mean over seeds and folds.",
        draw.validation_over_epochs,
    ),
    _Figure(
        "validation_over_seconds",
        "Validation error over time",
        "Mean over seeds and folds, against the seconds that training took.",
        draw.validation_over_seconds,
    ),
)


def write_comparison_page(comparison: Comparison, path: Path) -> None:
    """Write the page.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    write_page(render_comparison(comparison), path)


def render_comparison(comparison: Comparison) -> str:
    """The page as text."""
    drawn = ((figure, figure.draw(comparison, "svg")) for figure in FIGURES)
    return (
        page_environment()
        .get_template("comparison.html.j2")
        .render(
            comparison=comparison,
            differences={each.a: each for each in comparison.against_reference},
            figures=[
                InlineFigure(figure.title, figure.caption, inline_svg(svg, figure.name))
                for figure, svg in drawn
                if svg is not None
            ],
            verdicts=verdicts(comparison),
            small_sample=comparison.num_scans < SMALL_SAMPLE,
            style=verbatim("report.css", "comparison.css"),
            script=verbatim("report.js"),
        )
    )


def verdicts(comparison: Comparison) -> list[str]:
    """One sentence for each kind of outcome, worse and better arms first."""
    reference = comparison.reference
    arms = {arm.name for arm in comparison.arms}
    rows = [each for each in comparison.against_reference if each.a in arms]
    if not rows:
        return [f"No arm could be compared with {reference}."]
    kinds = {
        f"worse than {reference}": [
            each.a for each in rows if each.is_settled and (each.difference_years.low or 0) > 0
        ],
        f"better than {reference}": [
            each.a for each in rows if each.is_settled and (each.difference_years.high or 0) < 0
        ],
        f"not told apart from {reference} by this sample": [
            each.a for each in rows if not each.is_settled
        ],
    }
    return [f"{', '.join(names)}: {kind}" for kind, names in kinds.items() if names]


def write_comparison_figures(comparison: Comparison, folder: Path) -> None:
    """Write the page's figures as PNG files.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    drawn = {figure.name: figure.draw(comparison, "png") for figure in FIGURES}
    write_pngs({name: content for name, content in drawn.items() if content is not None}, folder)
