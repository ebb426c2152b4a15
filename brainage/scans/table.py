"""Delimited text as rows of named cells, with the faults a spreadsheet export can have; CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainage.errors import ManifestError

MAX_ROWS_SHOWN = 10


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    number: int
    """Row number as a spreadsheet shows it: the header is row 1."""
    cells: dict[str, str]
    """Cells by column name in lower case, stripped of spaces."""


@dataclass(frozen=True)
class Table:
    """A header and its rows; ``problems`` are the rows that do not fit the header."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def finite_number(text: str) -> float:
    """The number in a cell.

    Raises:
        ValueError: for anything else, infinity and NaN among it.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number, got {text!r}")
    return value


def read_table(path: Path, delimiters: str = ",;\t") -> Table:
    """Read a UTF-8 table with a header; blank rows are skipped, a byte order mark is allowed.

    Args:
        path: the file.
        delimiters: what may separate the columns; the header decides which one does.

    Raises:
        ManifestError: if the file is missing, unreadable, empty, not UTF-8 text, or has a header
            with an unnamed or repeated column.
    """
    text = _read_text(path)
    header_line = text.lstrip().partition("\n")[0]
    delimiter = max(delimiters, key=header_line.count)
    # newline="" as the csv module asks: line ends inside quotes belong to the cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: tuple[str, ...] = ()
    rows, problems = [], []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _check_header(path, cells)
            elif len(cells) != len(columns):
                problems.append(_uneven_row(reader.line_num, cells, columns, delimiter))
            else:
                named = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
                rows.append(Row(reader.line_num, named))
    except csv.Error as error:
        raise ManifestError(f"{path}: row {reader.line_num}: not a table: {error}") from error
    return Table(columns, tuple(rows), tuple(problems))


def csv_line(cells: Sequence[object]) -> str:
    """A row as CSV text; None is an empty cell.

    A carriage return is quoted, too, which the library's writer forgets where lines end in a line
    feed alone: names of files may hold one, and reading would take it for the end of the row.
    """
    texts = ["" if cell is None else str(cell) for cell in cells]
    quoted = [
        '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
        for text in texts
    ]
    return ",".join(quoted) + "\n"


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV text, as `csv_line` has them."""
    return "".join(csv_line(cells) for cells in rows)


def refuse_problems(path: Path, problems: Sequence[str]) -> None:
    """Raise one ManifestError that lists the bad rows, the first ten in words; none: return."""
    if not problems:
        return
    more = len(problems) - MAX_ROWS_SHOWN
    shown = [*problems[:MAX_ROWS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    raise ManifestError(f"{path}: {'; '.join(shown)}")


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ManifestError(
            f"{path}: expected a table in UTF-8 text, got other bytes; save it as CSV (UTF-8)"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    if not text.strip():
        raise ManifestError(f"{path}: expected a table with a header row, got an empty file")
    return text


def _check_header(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip().lower() for cell in cells)
    if "" in columns:
        raise ManifestError(f"{path}: column {columns.index('') + 1} of the header has no name")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise ManifestError(f"{path}: the header names {', '.join(repeated)} more than once")
    return columns


def _uneven_row(number: int, cells: Sequence[str], columns: Sequence[str], delimiter: str) -> str:
    problem = f"row {number}: expected {len(columns)} cells as in the header, got {len(cells)}"
    if delimiter == "," and len(cells) > len(columns):
        problem += " (put a cell with a decimal comma in quotes)"
    return problem
