"""Rows that are known before their turn, beside the table; and who may write both.

A table is written in input order, but with several processes a scan may be done before the one in
front of it. Its row goes here, so that a crash costs no scan that was finished. The file is there
as long as its table is not whole, and locked as long as somebody writes.
"""

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any, BinaryIO

from brainage.errors import RunFolderError

_log = logging.getLogger(__name__)

Cells = list[str]


class RowJournal:
    """A line for each row, on the disk when `append` returns; only one process has it open.

    Args:
        table: the CSV file that the rows belong to.

    Raises:
        RunFolderError: if the file cannot be written, or another process writes it.
    """

    def __init__(self, table: Path) -> None:
        self.path = table.with_name(f"{table.name}.rows.jsonl")
        self._table = table
        self.is_new = not self.path.exists()
        try:
            self._stream = self._locked()
        except OSError as error:
            raise RunFolderError(f"{table}: cannot write: {error.strerror}") from error

    def _locked(self) -> BinaryIO:
        """The file, locked; opened again when its last owner removed it in between."""
        while True:
            stream = self.path.open("a+b", buffering=0)  # nothing is left to write on closing
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self.path.exists() and os.path.samestat(
                    os.fstat(stream.fileno()), self.path.stat()
                ):
                    return stream
            except BlockingIOError:
                stream.close()
                raise RunFolderError(
                    f"{self._table}: another process is writing it; wait for it or give --out "
                    "another name"
                ) from None
            except OSError as error:  # some network file systems know no locks
                _log.warning("%s: cannot be locked (%s); start one call at a time",
                             self._table, error.strerror)  # fmt: skip
                return stream
            stream.close()

    def read(self) -> tuple[dict[str, Any] | None, dict[int, Cells]]:
        """What its first line says it belongs to, and the rows by index; a torn end is cut off."""
        self._stream.seek(0)
        content = self._stream.read()
        header: dict[str, Any] | None = None
        rows: dict[int, Cells] = {}
        good = 0
        for line in content.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                value = json.loads(line)
                if header is None:
                    header = dict(value)
                else:
                    index, cells = value
                    rows[int(index)] = [str(cell) for cell in cells]
            except (ValueError, TypeError):
                break
            good += len(line)
        self._stream.truncate(good)
        return header, rows

    def begin(self, header: dict[str, Any]) -> None:
        """Empty the file and write what it belongs to."""
        self._stream.truncate(0)
        self._write(header)

    def append(self, index: int, cells: Cells) -> None:
        """Keep the row of a scan."""
        self._write([index, cells])

    def _write(self, value: object) -> None:
        # Plain ASCII: names that are no UTF-8 are escaped, and come back as they were.
        line = json.dumps(value).encode("ascii") + b"\n"
        while line:
            line = line[self._stream.write(line) :]
        os.fsync(self._stream.fileno())

    def remove(self) -> None:
        """Delete the file, since the table holds all rows."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others write."""
        self._stream.close()
