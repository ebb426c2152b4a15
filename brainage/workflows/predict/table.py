"""The table of predictions: one row per input scan, in input order, each on disk once known."""

import csv
import io
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from brainage.errors import RunFolderError


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """One scan. Ages and seconds are plain numbers in years and seconds; empty is unknown."""

    scan: str
    subject: str
    session: str | None
    status: str
    stage: str | None = None
    reason: str | None = None
    age_years: float | None = None
    predicted_age: float | None = None
    brain_age_gap: float | None = None
    age_in_training_range: bool | None = None
    model_hash: str
    preprocessing_hash: str
    seconds: float

    def cells(self) -> list[str]:
        """The row as text; numbers to four decimals."""
        return [_cell(value) for value in asdict(self).values()]


COLUMNS = tuple(entry.name for entry in fields(PredictionRow))

# Names of files are bytes; those that are no UTF-8 are written and read back as they are.
_ANY_NAME = "surrogateescape"


class PredictionTable:
    """Writes rows in input order, whatever order they become known in; a context manager.

    Args:
        path: the CSV file.
        num_rows: rows of the whole table.
        keep: rows already written by an interrupted run of the same model, in order.

    Raises:
        RunFolderError: if the file cannot be written.
    """

    def __init__(self, path: Path, num_rows: int, keep: list[list[str]] | None = None) -> None:
        self.path = path
        self.num_rows = num_rows
        self._next = len(keep or [])
        self._waiting: dict[int, PredictionRow] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            try:
                with part.open("w", newline="", encoding="utf-8", errors=_ANY_NAME) as stream:
                    csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *(keep or [])])
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            self._stream = path.open("a", newline="", encoding="utf-8", errors=_ANY_NAME)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot write: {error.strerror}") from error
        self._writer = csv.writer(self._stream, lineterminator="\n")

    def add(self, index: int, row: PredictionRow) -> None:
        """Take row ``index``; it and those waiting for it reach the disk as soon as order allows.

        Raises:
            RunFolderError: if the disk is full.
        """
        self._waiting[index] = row
        try:
            while self._next in self._waiting:
                self._writer.writerow(self._waiting.pop(self._next).cells())
                self._next += 1
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot write: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()


def finished_rows(path: Path, scans: list[str], model_hash: str) -> list[list[str]]:
    """The leading rows of an interrupted table that are whole and belong to these scans and model.

    Raises:
        RunFolderError: if the file is a table of other scans or of another model.
    """
    rows = _whole_rows(path)
    if rows and tuple(rows[0]) != COLUMNS:
        raise RunFolderError(f"{path}: cannot be resumed: it has other columns")
    kept = rows[1:]
    if any(len(row) != len(COLUMNS) for row in kept):
        raise RunFolderError(f"{path}: cannot be resumed: it has rows of other columns")
    hash_column, scan_column = COLUMNS.index("model_hash"), COLUMNS.index("scan")
    if [row[scan_column] for row in kept] != scans[: len(kept)]:
        raise RunFolderError(f"{path}: cannot be resumed: its rows are of other scans")
    if any(row[hash_column] != model_hash for row in kept):
        raise RunFolderError(f"{path}: cannot be resumed: its rows are of another model")
    return kept


def _whole_rows(path: Path) -> list[list[str]]:
    """The rows of a table up to the last one that was written to its end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunFolderError(f"{path}: cannot read: {error.strerror}") from error
    whole = content[: content.rfind(b"\n") + 1].decode("utf-8", errors=_ANY_NAME)
    try:
        rows = list(csv.reader(io.StringIO(whole, newline="")))
    except csv.Error as error:
        raise RunFolderError(f"{path}: cannot be resumed: it is no table: {error}") from error
    # A cell may hold a line break, and the table may have been cut off behind it.
    torn = len(rows) > 1 and len(rows[-1]) < len(COLUMNS)
    return rows[:-1] if torn else rows


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
