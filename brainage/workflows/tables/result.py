"""A table with its measured and published values: what is kept, shown and reported."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brainage.errors import RunFolderError
from brainage.reporting.counts import counted
from brainage.reporting.formatting import NOTHING, decimals
from brainage.workflows.train.run_folder import write_text

_COLUMN = 14


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value. ``published`` and ``published_sd`` are as printed.

    ``measured`` is the mean over ``seeds`` finished repetitions and ``sd`` their standard
    deviation; None as long as there is no fit. ``setting`` is the column; empty where the row has
    one value only.
    """

    part: str
    method: str
    setting: str
    measure: str
    published: float | None
    measured: float | None
    sd: float | None
    seeds: int
    failed: int
    scale: str
    published_sd: float | None = None


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """What an experiment was run with. ``complete`` says whether all of it is done.

    ``scale``: ``full``, ``reduced:`` with what is smaller than published, or ``projected``.
    ``seeds``: repetitions that every number is of, at the least. ``failed`` names the fits
    without a result, each with its reason.
    """

    scale: str
    complete: bool
    device: str = ""
    note: str = ""
    seeds: int = 0
    failed: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Mean over repetitions of a number along training, for figures."""

    part: str
    method: str
    epochs: list[int]
    values: list[float]


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """A table as far as it is done."""

    table: str
    title: str
    parts: dict[str, PartFacts]
    rows: tuple[Cell, ...]
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every experiment is done."""
        return all(part.complete for part in self.parts.values())

    @property
    def exit_code(self) -> int:
        """0, or 1 when a fit failed."""
        return 1 if any(part.failed for part in self.parts.values()) else 0

    def describe(self) -> list[str]:
        """Measured above published, for people."""
        lines = [f"{self.table}: {self.title}"]
        for name, facts in self.parts.items():
            cells = [cell for cell in self.rows if cell.part == name]
            failed = [f"failed: {each}" for each in facts.failed]
            lines += ["", _heading(name, facts), *failed, *_lines(cells)]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"complete": self.complete}

    def save(self, folder: Path) -> Path:
        """Write ``TABLE.json``.

        Raises:
            RunFolderError: if it cannot be written.
        """
        path = folder / f"{self.table}.json"
        write_text(path, json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")
        return path


def load_result(path: Path) -> TableResult:
    """A table that ``save`` wrote.

    Raises:
        RunFolderError: if it cannot be read, or is something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return _from_json(values)
    except OSError as error:
        raise RunFolderError(f"{path}: cannot read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunFolderError(f"{path}: is no result of a table: {error}") from error


def grouped(cells: tuple[Cell, ...] | list[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """The cells of each row of the table: by method and measure, in their order."""
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.method, cell.measure), []).append(cell)
    return rows


def with_deviation(cell: Cell) -> str:
    """The measured value for people: mean and standard deviation, or a dash."""
    if cell.measured is None:
        return "failed" if cell.failed else NOTHING
    spread = "" if cell.sd is None else f" ± {decimals(cell.sd)}"
    return decimals(cell.measured) + spread


def printed(cell: Cell) -> str:
    """The published value for people, with its standard deviation where there is one."""
    spread = "" if cell.published_sd is None else f" ± {decimals(cell.published_sd)}"
    return decimals(cell.published) + spread


def _from_json(values: Mapping[str, Any]) -> TableResult:
    return TableResult(
        table=values["table"],
        title=values["title"],
        parts={name: PartFacts(**facts) for name, facts in values["parts"].items()},
        rows=tuple(Cell(**cell) for cell in values["rows"]),
        curves=tuple(Curve(**curve) for curve in values["curves"]),
        notes=tuple(values["notes"]),
    )


def _heading(name: str, facts: PartFacts) -> str:
    told = [
        facts.scale,
        facts.note,
        facts.device,
        counted(facts.seeds, "seed") if facts.seeds else "",
    ]
    if not facts.complete:
        told.append("not complete")
    return f"{name}: {'; '.join(each for each in told if each)}"


def _lines(cells: list[Cell]) -> list[str]:
    """One block of lines for all rows of the same columns."""
    lines: list[str] = []
    shown: list[str] = []
    width = max((len(f"{method}, {measure}") for method, measure in grouped(cells)), default=0)
    for (method, measure), row in grouped(cells).items():
        settings = [cell.setting for cell in row]
        column = max(_COLUMN, *(len(each) + 2 for each in settings))
        if settings != shown and any(settings):
            lines.append(f"{'':<{width + 11}}" + "".join(f"{each:>{column}}" for each in settings))
        shown = settings
        name = f"{method}, {measure}"
        measured = "".join(f"{with_deviation(cell):>{column}}" for cell in row)
        lines.append(f"{name:<{width}} measured  {measured}")
        if any(cell.published is not None for cell in row):
            published = "".join(f"{printed(cell):>{column}}" for cell in row)
            lines.append(f"{'':<{width}} published {published}")
    return lines
