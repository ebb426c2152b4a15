"""``qc.csv``: every input scan of a run in input order, with its quality figures or its failure."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brainage.derivatives.files import write_bytes
from brainage.errors import RunFolderError
from brainage.preprocess.quality import FIGURES
from brainage.scans.table import csv_lines

_FIGURE_NAMES = tuple(figure.name for figure in FIGURES)
COLUMNS = (
    "scan",
    "subject",
    "session",
    "site",
    "status",
    "stage",
    "reason",
    "qc_flags",
    *_FIGURE_NAMES,
    "output",
    "preprocessing_key",
    "cached",
    "seconds",
)


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """One input scan.

    ``status`` is ``ok``, ``failed``, or ``skipped`` when the run was interrupted before it.
    ``seconds`` is what the scan took in this run; ``cached``: its volume had been made before.
    """

    scan: str
    subject: str
    session: str | None
    site: str | None
    status: str
    stage: str | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    output: Path | None = None
    picture: Path | None = None
    preprocessing_key: str = ""
    cached: bool = False
    seconds: float = 0.0

    def cells(self) -> list[str]:
        """The row as text; numbers to six digits, empty is unknown."""
        figures = [
            "" if name not in self.figures else f"{self.figures[name]:.6g}"
            for name in _FIGURE_NAMES
        ]
        return [
            self.scan,
            self.subject,
            self.session or "",
            self.site or "",
            self.status,
            self.stage or "",
            self.reason or "",
            ";".join(self.flags),
            *figures,
            "" if self.output is None else self.output.as_posix(),
            self.preprocessing_key,
            "true" if self.cached else "false",
            f"{self.seconds:.3f}",
        ]


def write_quality_table(rows: Sequence[QualityRow], path: Path) -> None:
    """Write the table; it appears at once or not at all.

    Raises:
        RunFolderError: if it cannot be written.
    """
    write_bytes(path, _lines([COLUMNS, *(row.cells() for row in rows)]))


def append_quality_row(row: QualityRow, path: Path) -> None:
    """Add a row to a table that is there, on disk when this returns.

    A disk that is full in the middle of the row leaves the table as it was before.

    Raises:
        RunFolderError: if it cannot be written.
    """
    line = _lines([row.cells()])
    try:
        # Without a buffer: what cannot be written must not be tried again on closing.
        with path.open("ab", buffering=0) as file:
            whole = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
    except OSError as error:
        raise RunFolderError(f"{path}: cannot write: {error.strerror or error}") from error


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    # Names of files are bytes; those that are no UTF-8 are written as they are.
    return csv_lines(rows).encode("utf-8", "surrogateescape")
