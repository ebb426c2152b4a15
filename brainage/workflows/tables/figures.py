"""The pictures of a table, drawn from its result alone."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from brainage.config.tables import StudyFigure, TableConfig, experiment
from brainage.reporting.activity_figures import activity_figure
from brainage.reporting.complexity_figures import (
    choices_figure,
    hilbert_figure,
    leaders_figure,
    spectra_figure,
)
from brainage.reporting.picture_files import write_pngs
from brainage.reporting.table_figures import Line, setting_figure, training_figure
from brainage.reporting.worker_figures import best_leaders_figure, inference_figure
from brainage.workflows.tables.result import TableResult, grouped
from brainage.workflows.tables.study_part import read_study

MEASURES = {
    "test_error_percent": "test error (%)",
    "test_accuracy_percent": "test accuracy (%)",
    "train_error_percent": "training error (%)",
    "accuracy_percent": "accuracy (%)",
    "epoch_minutes": "minutes per epoch",
    "speedup": "speedup over back-propagation",
    "loss": "loss",
    "cosine_similarity": "cosine similarity",
    "normalised_distance": "normalised Euclidean distance",
    "normalised_variance": "normalised variance",
    "mean_cosine": "mean cosine of two workers' activities",
    "spectrum_width": "width of the spectrum",
    "alpha_0": "α₀",
    "rank_correlation": "Spearman's rank correlation",
    "p_value": "p",
}
STUDY_FIGURES: dict[StudyFigure, dict[str, Callable[[Mapping[str, Any], str], bytes]]] = {
    "best_leaders": {"": best_leaders_figure},
    "inference": {"": inference_figure},
    "activity": {"": activity_figure},
    "hilbert": {"": hilbert_figure},
    "spectra": {"": spectra_figure, "-choices": choices_figure},
    "leaders_needed": {"": leaders_figure},
}
"""By the figure of a table, its pictures and what is added to a picture's name."""


def write_figures(
    table: TableConfig, result: TableResult, folder: Path, *, results: Path
) -> list[Path]:
    """Write ``TABLE-PART….png`` for what there is to draw; returns their paths.

    Args:
        table: says what is drawn.
        result: of the table.
        folder: it exists.
        results: where the table's result is from. A study's picture needs more numbers than a
            table keeps; without them a picture that lies beside the result is taken over.
    """
    drawn = pictures(table, result, results)
    return write_pngs({f"{result.table}-{name}": picture for name, picture in drawn}, folder)


def pictures(table: TableConfig, result: TableResult, results: Path) -> Iterator[tuple[str, bytes]]:
    """Every picture with its name: for each part and measure, or for each part's curves."""
    if table.figure == "convergence":
        yield from _curves(result)
    elif table.figure == "leadership":
        yield from _settings(result, table.setting)
    elif table.figure is not None:
        yield from _studies(table, table.figure, result, results)


def _studies(
    table: TableConfig, figure: StudyFigure, result: TableResult, results: Path
) -> Iterator[tuple[str, bytes]]:
    for name, facts in result.parts.items():
        owner, part, _ = experiment(table, name)
        study = read_study(results / owner / part)
        for suffix, draw in STUDY_FIGURES[figure].items():
            kept = results / f"{table.name}-{name}{suffix}.png"
            if study is not None:
                yield f"{name}{suffix}", draw(study, facts.scale)
            elif kept.is_file():
                yield f"{name}{suffix}", kept.read_bytes()


def _settings(result: TableResult, setting: str) -> Iterator[tuple[str, bytes]]:
    for part in result.parts:
        rows = grouped([cell for cell in result.rows if cell.part == part])
        for measure in dict.fromkeys(measure for _, measure in rows):
            lines = [
                Line(
                    name=method,
                    settings=[cell.setting for cell in cells],
                    measured=[cell.measured for cell in cells],
                    sd=[cell.sd for cell in cells],
                    published=[cell.published for cell in cells],
                )
                for (method, own), cells in rows.items()
                if own == measure
            ]
            if any(value is not None for line in lines for value in line.measured):
                name = f"{part}-{measure.removesuffix('_percent')}"
                yield (
                    name,
                    setting_figure(lines, name=name, setting=setting, measure=MEASURES[measure]),
                )


def _curves(result: TableResult) -> Iterator[tuple[str, bytes]]:
    for part in result.parts:
        curves = [(c.method, c.epochs, c.values) for c in result.curves if c.part == part]
        if curves:
            yield part, training_figure(curves, name=part, measure="validation accuracy (%)")
