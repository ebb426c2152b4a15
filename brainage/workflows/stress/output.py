"""What a stress test leaves: tables, figures, pictures, a page, and its summary."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from brainage.derivatives.files import write_together
from brainage.errors import RunFolderError
from brainage.reporting.report import write_pictures
from brainage.scans.table import csv_lines
from brainage.stress.figures import draw_results, label
from brainage.stress.measure import Measured
from brainage.stress.page import caption, write_stress_page
from brainage.stress.pictures import Picture, contact_sheet
from brainage.stress.results import StressResults
from brainage.stress.row import COLUMNS, StressRow

TABLE, NUMBERS, PAGE = "stress.csv", "stress.json", "stress.html"
FIGURES, PICTURES = "figures", "perturbed"
MOST_NAMED = 5


class StressOutput:
    """The folder of a stress test; written anew after every scan.

    Raises:
        RunFolderError: at once, not after the first scan, if the folder cannot be written.
    """

    def __init__(self, folder: Path, created: datetime) -> None:
        self.folder = folder
        self.created = created
        self._num_scans = 0
        self._shown: list[tuple[StressRow, Picture]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot write: {error.strerror}") from error
        self._write(TABLE, _table(()))

    def write(self, results: StressResults, of_scan: Sequence[Measured]) -> None:
        """Write everything.

        Args:
            results: of all scans so far.
            of_scan: the rows of the last scan, with its pictures.

        Raises:
            RunFolderError: if the folder cannot be written.
        """
        self._num_scans += 1
        pictures = [(each.row, each.picture) for each in of_scan if each.picture is not None]
        self._write(TABLE, _table(results.rows))
        numbers = json.dumps(results.to_json(), indent=1, allow_nan=False) + "\n"
        self._write(NUMBERS, numbers.encode())
        if pictures:
            sheet = contact_sheet([(caption(row), picture) for row, picture in pictures])
            self._write(f"{PICTURES}/{self._picture_name(pictures[0][0])}", sheet)
        write_pictures(draw_results(results, "png"), self.folder / FIGURES)
        # A page with the pictures of every scan would be too large; the other sheets are files.
        self._shown = self._shown or pictures
        write_stress_page(results, self._shown, self.folder / PAGE, self.created)

    def _write(self, name: str, content: bytes) -> None:
        """A file that appears at once or not at all."""
        write_together(self.folder, {Path(name): content})

    def _picture_name(self, row: StressRow) -> str:
        return f"{self._num_scans}_{re.sub(r'[^A-Za-z0-9._-]', '_', row.subject)}.png"


@dataclass(frozen=True, kw_only=True)
class StressSummary:
    """Result of ``brainage stress``."""

    results: StressResults
    strict: bool
    out: Path

    @property
    def exit_code(self) -> int:
        """0; 1 when a scan that should work has no age, or, if strict, a budget is exceeded."""
        return 1 if self.results.num_failed or (self.strict and self.results.num_exceeded) else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        results = self.results
        counts = results.counts
        judged, exceeded = results.num_judged, results.num_exceeded
        over = f"OVER BUDGET: {exceeded} of {judged}" if exceeded else f"over budget: 0 of {judged}"
        mae = results.held_out_mae_years
        return [
            f"scans: {len(results.references)}; {len(results.changes)} changes, "
            f"{counts.get('skipped', 0)} of them could not be made",
            over,
            *self._worst(),
            f"no age though expected: {results.num_failed}; flagged: {counts.get('flagged', 0)}",
            *self._doses(),
            *([] if mae is None else [f"held-out error of the model: {mae:.2f} years"]),
            f"table: {self.out / TABLE}",
            f"page: {self.out / PAGE}",
        ]

    def _worst(self) -> list[str]:
        rows = [row for row in self.results.rows if row.is_exceeded or row.verdict == "flagged"]
        rows.sort(key=lambda row: (not row.is_exceeded, -abs(row.delta_years or 0.0)))
        notes = {"unnoticed": "not noticed", "flagged": "flagged"}
        return [
            f"  {row.subject}, {label(row)}: {row.delta_years:+.2f} years "
            f"({notes.get(row.verdict, f'budget {row.budget_years}')})"
            for row in rows[:MOST_NAMED]
        ]

    def _doses(self) -> list[str]:
        responses = self.results.dose_responses()
        if not responses:
            return []
        rising = sum(each.is_monotone for each in responses)
        return [f"dose-responses that rise at every dose: {rising} of {len(responses)}"]

    def to_json(self) -> dict[str, Any]:
        """The numbers of ``stress.json`` without its rows, which stand in that file."""
        numbers = self.results.to_json()
        del numbers["rows"]
        more = {
            "changes": len(self.results.changes),
            "exceeded": self.results.num_exceeded,
            "failed": self.results.num_failed,
            "out": str(self.out),
        }
        return {**numbers, **more}


def _table(rows: Sequence[StressRow]) -> bytes:
    # Names of files are bytes; those that are no UTF-8 are written as they are.
    text = csv_lines([COLUMNS, *(row.cells() for row in rows)])
    return text.encode("utf-8", errors="surrogateescape")
