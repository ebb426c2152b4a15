"""The pictures of a table, drawn from its result alone."""

from collections.abc import Iterator
from pathlib import Path

from brainage.config.tables import TableConfig
from brainage.reporting.table_figures import Line, setting_figure, training_figure
from brainage.workflows.tables.result import TableResult, grouped

MEASURES = {
    "test_error_percent": "test error (%)",
    "test_accuracy_percent": "test accuracy (%)",
    "train_error_percent": "training error (%)",
    "epoch_minutes": "minutes per epoch",
    "speedup": "speedup over back-propagation",
}


def write_figures(table: TableConfig, result: TableResult, folder: Path) -> list[Path]:
    """Write ``TABLE-PART….png`` for what there is to draw; returns their paths.

    Args:
        table: says what is drawn.
        result: of the table.
        folder: it exists.
    """
    written = []
    for name, picture in pictures(table, result):
        path = folder / f"{result.table}-{name}.png"
        path.write_bytes(picture)
        written.append(path)
    return written


def pictures(table: TableConfig, result: TableResult) -> Iterator[tuple[str, bytes]]:
    """Every picture with its name: for each part and measure, or for each part's curves."""
    if table.figure == "convergence":
        yield from _curves(result)
    elif table.figure == "leadership":
        yield from _settings(result, table.setting)


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
