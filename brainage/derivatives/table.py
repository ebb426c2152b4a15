"""``qc.csv``: every input scan of a run in input order, with its quality figures or its failure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brainage.derivatives.files import write_bytes
from brainage.preprocess.quality import FIGURES

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
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(row.cells() for row in rows)])
    # Names of files are bytes; those that are no UTF-8 are written as they are.
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))
