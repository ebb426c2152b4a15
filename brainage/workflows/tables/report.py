"""``brainage tables report``: all tables on one page, measured beside published."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainage.config.tables import TableConfig, experiment
from brainage.errors import RunFolderError
from brainage.reporting.counts import counted
from brainage.reporting.formatting import NOTHING
from brainage.workflows.tables.collect import collect
from brainage.workflows.tables.figures import MEASURES, write_figures
from brainage.workflows.tables.result import (
    Cell,
    TableResult,
    grouped,
    load_result,
    printed,
    with_deviation,
)
from brainage.workflows.train.run_folder import write_text


@dataclass(frozen=True, kw_only=True)
class TablesReport:
    """Result of ``brainage tables report``."""

    out: Path
    results: tuple[TableResult, ...]

    exit_code = 0

    def describe(self) -> list[str]:
        """Every table, and where the page is."""
        lines: list[str] = []
        for result in self.results:
            lines += [*result.describe(), ""]
        return [*lines, f"report: {self.out}"]

    def to_json(self) -> dict[str, Any]:
        """Every table as ``tables run`` gives it."""
        return {"report": str(self.out), "tables": [each.to_json() for each in self.results]}


def report_tables(tables: Sequence[TableConfig], *, results: Path, out: Path) -> TablesReport:
    """Write a Markdown page of the tables, with their figures in a folder of the page's name.

    Args:
        tables: which, in this order; those of which nothing is known are named as such.
        results: a folder of ``run_table``, or one of ``TABLE.json`` files that were kept.
        out: the page.

    Raises:
        BrainageError: if a result cannot be read or the page not written.
    """
    if not out.name or out.is_dir():
        raise RunFolderError(f"{out}: is a folder; name the page, e.g. {out / 'tables.md'}")
    found: list[TableResult] = []
    pages: list[str] = []
    pictures = out.with_name(out.stem if out.suffix else f"{out.name}-figures")
    try:
        pictures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{pictures}: cannot create it: {error.strerror}") from error
    for table in tables:
        result = _result(table, results)
        found.append(result)
        written = write_figures(table, result, pictures, results=results)
        pages.append(_section(table, result, [path.relative_to(out.parent) for path in written]))
    write_text(out, "\n".join([_HEAD, *pages]))
    return TablesReport(out=out, results=tuple(found))


_HEAD = """\
# The supplement's tables and figures

Written by `brainage tables report`. *Published* is what the supplement prints; *measured* is ours,
mean ± standard deviation over seeds, and a dash where nothing has been measured. A scale other than
`full` is a smaller experiment than the published one, whose numbers need not be comparable.
"""


def _result(table: TableConfig, results: Path) -> TableResult:
    """From the table's folders where there are any, else from its file."""
    places = [experiment(table, part)[:2] for part in table.parts]
    if any((results / owner / part).is_dir() for owner, part in places):
        return collect(table, results)
    path = results / f"{table.name}.json"
    return load_result(path) if path.is_file() else collect(table, results)


def _section(table: TableConfig, result: TableResult, figures: Sequence[Path]) -> str:
    lines = [f"## {heading(table.name)}", "", f"{table.title}.", ""]
    for name, facts in result.parts.items():
        told = [f"**{name}**: {facts.scale}", facts.note, facts.device]
        told += [f"{key.replace('_', ' ')} {_shown(value)}" for key, value in facts.details.items()
                 if value not in ({}, [], "")]  # fmt: skip
        told += [counted(facts.seeds, "seed")] if facts.seeds else []
        told += [] if facts.complete else ["not complete"]
        told += [f"failed: {each}" for each in facts.failed]
        lines += [f"* {'; '.join(each for each in told if each)}"]
    lines += ["", f"`brainage tables run {table.name}`", ""]
    for part in result.parts:
        lines += _markdown([cell for cell in result.rows if cell.part == part], part)
    lines += [f"![{path.stem}]({path.as_posix()})\n" for path in figures]
    lines += [f"* {note}" for note in table.notes]
    return "\n".join(lines) + "\n"


def heading(name: str) -> str:
    """The table's name for people: ``s1`` is Table S1, ``fig_s8`` Figure S8."""
    kind, number = ("Figure", name.removeprefix("fig_")) if name.startswith("fig_") else (
        "Table", name)  # fmt: skip
    return f"{kind} {number.upper()}"


def _markdown(cells: list[Cell], part: str) -> list[str]:
    """Rows of the same columns as one Markdown table each."""
    lines: list[str] = []
    shown: list[str] | None = None
    for (method, measure), row in grouped(cells).items():
        settings = [cell.setting for cell in row]
        if settings != shown:
            columns = settings if any(settings) else [""]
            lines += ["", f"| {part} | | {' | '.join(columns)} |", "|---|---|" + "---|" * len(row)]
            shown = settings
        words = f"{method}, {MEASURES[measure]}"
        lines.append(f"| {words} | measured | {' | '.join(with_deviation(c) for c in row)} |")
        if any(cell.published is not None for cell in row):
            lines.append(f"| | published | {' | '.join(printed(cell) for cell in row)} |")
    return [*lines, ""] if lines else []


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_shown(inner)} {key}" for key, inner in value.items())
    if isinstance(value, list):
        return " or ".join(_shown(inner) for inner in value) or NOTHING
    return f"{value:,}" if isinstance(value, int) else str(value)
