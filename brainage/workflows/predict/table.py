"""The table of predictions: one row per input scan, in input order, each on disk once known."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from brainage.errors import RunFolderError
from brainage.scans.record import ScanRecord
from brainage.scans.table import csv_line, csv_lines
from brainage.workflows.predict.journal import Cells, RowJournal
from brainage.workflows.predict.row import COLUMNS, ScanPrediction, cell_text

# Names of files are bytes; those that are no UTF-8 are written and read back as they are.
_ANY_NAME = "surrogateescape"

_KNOWN_BEFORE = ("scan", "subject", "session", "age_years")


@dataclass(frozen=True)
class TableContent:
    """What a table is to hold; rows of anything else are not kept.

    Args:
        known: for each scan, the cells that its source tells: those of ``_KNOWN_BEFORE``.
        model: the model's name in the rows.
    """

    known: tuple[tuple[str, ...], ...]
    model: str

    @classmethod
    def of(cls, records: Sequence[ScanRecord], model: str) -> Self:
        """The content of a table for these scans."""
        known = tuple(
            tuple(cell_text(value) for value in (str(r.scan), r.subject, r.session, r.age_years))
            for r in records
        )
        return cls(known, model)

    def header(self) -> dict[str, Any]:
        """What the journal says it belongs to."""
        scans = hashlib.sha256(json.dumps(self.known).encode("ascii")).hexdigest()
        return {"model": self.model, "scans": scans, "columns": list(COLUMNS)}


class PredictionTable:
    """Writes rows in input order, whatever order they become known in; a context manager.

    ``kept`` are the rows of an interrupted call, by index.

    Args:
        path: the CSV file.
        content: what it is to hold.
        resume: keep the rows that are there.
        retry_failed: of those, only the rows of scans that did not fail.
        is_same: whether the scan of an index still has the bytes that this digest names; rows of
            other bytes are not kept.

    Raises:
        RunFolderError: if the file cannot be written, another process writes it, or what is there
            is of other scans or another model and should be kept.
    """

    def __init__(
        self,
        path: Path,
        content: TableContent,
        *,
        resume: bool = False,
        retry_failed: bool = False,
        is_same: Callable[[int, str], bool] | None = None,
    ) -> None:
        _refuse_no_file(path)
        self.path = path
        self._num_rows = len(content.known)
        self._waiting: dict[int, Cells] = {}
        self._in_journal: dict[int, Cells] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot write: {error.strerror}") from error
        self._journal = RowJournal(path)
        try:
            self.kept = self._recall(content) if resume else self._forget(content)
            if retry_failed:
                failed = COLUMNS.index("status")
                self.kept = {k: cells for k, cells in self.kept.items() if cells[failed] == "ok"}
            if is_same is not None:
                digest = COLUMNS.index("scan_sha256")
                self.kept = {
                    k: cells
                    for k, cells in self.kept.items()
                    if not cells[digest] or is_same(k, cells[digest])
                }
            self._begin()
        except BaseException as error:
            if self._journal.is_new:
                self._journal.remove()
            self._journal.close()
            if isinstance(error, OSError):
                raise RunFolderError(f"{path}: cannot write: {error.strerror}") from error
            raise

    def _recall(self, content: TableContent) -> dict[int, Cells]:
        """The rows of an interrupted call, out of the table and out of the journal."""
        rows = finished_rows(self.path, content)
        header, early = self._journal.read()
        if header is None:
            self._journal.begin(content.header())
        elif header != content.header():
            raise RunFolderError(
                f"{self.path}: cannot be resumed: {self._journal.path.name} beside it is of other "
                "scans or another model"
            )
        self._in_journal = early
        usable = {k: cells for k, cells in early.items() if len(cells) == len(COLUMNS)}
        return {**usable, **dict(enumerate(rows))}

    def _forget(self, content: TableContent) -> dict[int, Cells]:
        self._journal.begin(content.header())
        return {}

    def _begin(self) -> None:
        """Write the kept rows: those in front into the table, the others into the journal."""
        self._next = 0
        while self._next in self.kept:
            self._next += 1
        for index in sorted(self.kept):
            if index >= self._next:
                self._waiting[index] = self.kept[index]
                if self._in_journal.get(index) != self.kept[index]:
                    self._journal.append(index, self.kept[index])
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            with part.open("w", newline="", encoding="utf-8", errors=_ANY_NAME) as stream:
                rows = [self.kept[index] for index in range(self._next)]
                stream.write(csv_lines([COLUMNS, *rows]))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        self._stream = self.path.open("a", newline="", encoding="utf-8", errors=_ANY_NAME)

    def add(self, index: int, row: ScanPrediction) -> None:
        """Take row ``index``, which is on the disk when this returns.

        Raises:
            RunFolderError: if the disk is full.
        """
        self._waiting[index] = row.cells()
        try:
            if index > self._next:
                self._journal.append(index, self._waiting[index])
                return
            while self._next in self._waiting:
                self._stream.write(csv_line(self._waiting.pop(self._next)))
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
        if self._next == self._num_rows:
            self._journal.remove()
        self._journal.close()


def _refuse_no_file(path: Path) -> None:
    """What is no plain file, such as a device, must not be replaced by one."""
    if path.exists() and not path.is_file():
        raise RunFolderError(f"{path}: is no file that could hold a table; give --out another name")


def finished_rows(path: Path, content: TableContent) -> list[Cells]:
    """The leading rows of an interrupted table that are whole and belong to this content.

    Raises:
        RunFolderError: if the file is a table of other scans or of another model.
    """
    rows = _whole_rows(path)
    if rows and tuple(rows[0]) != COLUMNS:
        raise RunFolderError(f"{path}: cannot be resumed: it has other columns")
    kept = rows[1:]
    if any(len(row) != len(COLUMNS) for row in kept):
        raise RunFolderError(f"{path}: cannot be resumed: it has rows of other columns")
    named = [dict(zip(COLUMNS, row, strict=True)) for row in kept]
    if [row["scan"] for row in named] != [known[0] for known in content.known[: len(kept)]]:
        raise RunFolderError(f"{path}: cannot be resumed: its rows are of other scans")
    if any(row["model_hash"] != content.model for row in named):
        raise RunFolderError(f"{path}: cannot be resumed: its rows are of another model")
    for row, known in zip(named, content.known, strict=False):
        _refuse_other_person(path, row, known)
    return kept


def _refuse_other_person(path: Path, row: Mapping[str, str], known: tuple[str, ...]) -> None:
    """A source that tells something else of a scan than before would mix two truths."""
    for name, now in zip(_KNOWN_BEFORE, known, strict=True):
        if row[name] != now:
            raise RunFolderError(
                f"{path}: cannot be resumed: {name} of {row['scan']} is {row[name]!r} in it and "
                f"{now!r} now"
            )


def _whole_rows(path: Path) -> list[Cells]:
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
