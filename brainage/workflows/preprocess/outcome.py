"""What is known of a run of ``brainage preprocess``: its rows, tables and numbers."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.derivatives.dataset import PAGE, TABLE
from brainage.derivatives.table import QualityRow, append_quality_row, write_quality_table
from brainage.derivatives.task import ScanPlan, finished_sidecar
from brainage.errors import ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import preprocessing_hash
from brainage.preprocess.quality_limits import quality_flags
from brainage.preprocess.worker import PreprocessOutcome
from brainage.reporting.qc_page import QualityPage, ScanCard, write_quality_page
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan_bytes

INTERRUPTED = "the run was interrupted before this scan was done; run the command again"


@dataclass(frozen=True, kw_only=True)
class PreprocessSummary:
    """Result of ``brainage preprocess``.

    ``cached`` scans had their volume already, and ``unchanged`` of them all of their files, so
    that nothing was done. ``flagged`` scans went through and are worth a look.
    """

    scans: int
    ok: int
    failed: int
    cached: int
    unchanged: int
    flagged: int
    seconds_per_scan_median: float | None
    out: Path

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan failed."""
        return 1 if self.failed else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        done = "nothing to do: all" if self.unchanged == self.scans else str(self.unchanged)
        lines = [
            f"scans: {self.scans}; {self.ok} preprocessed ({self.flagged} flagged), "
            f"{self.failed} failed",
            f"done before: {done} with the same bytes and settings",
        ]
        if self.seconds_per_scan_median is not None:
            lines.append(f"time: {self.seconds_per_scan_median:.1f} s a scan (median)")
        return [*lines, f"table: {self.out / TABLE}", f"page: {self.out / PAGE}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "out": str(self.out)}


class PreprocessRun:
    """The rows of a run as they become known.

    ``qc.csv`` holds the row of every scan that is finished, whatever ends the run: it grows by a
    row when a scan is done, and `write_tables` puts the rows in input order at the end.
    """

    def __init__(
        self,
        records: Sequence[ScanRecord],
        plans: dict[Path, ScanPlan],
        out: Path,
        config: PreprocessConfig,
    ) -> None:
        self._records = {record.scan: record for record in records}
        self._plans = plans
        self._out = out
        self._config = config
        self._rows: dict[Path, QualityRow] = {}
        self._seconds: list[float] = []
        self._unchanged = 0

    def skip_finished(self, cache: PreprocessCache, advance: Callable[[], None]) -> list[Path]:
        """Take rows from complete derivatives of the same bytes and settings; the other scans.

        The table of an earlier run stays until these rows, a hash each, are known.
        """
        todo = []
        for scan, plan in self._plans.items():
            begun = time.perf_counter()
            try:
                key = cache.key(read_scan_bytes(scan)[1])
            except ScanError:
                todo.append(scan)  # Its row is made where all failures are.
                continue
            sidecar = finished_sidecar(self._out, plan, key)
            if sidecar is None:
                todo.append(scan)
                continue
            figures = sidecar["QualityControl"]
            seconds = time.perf_counter() - begun
            self._add(PreprocessOutcome(scan, key, "ok", None, None, True, seconds, figures))
            self._unchanged += 1
            advance()
        write_quality_table(list(self._rows.values()), self._out / TABLE)
        return todo

    def finish(self, advance: Callable[[], None], outcome: PreprocessOutcome) -> None:
        """Take the outcome of a scan that was done; its row is on disk when this returns."""
        self._add(outcome)
        append_quality_row(self._rows[outcome.scan], self._out / TABLE)
        if outcome.status == "ok" and not outcome.cached:
            self._seconds.append(outcome.seconds)
        advance()

    def _add(self, outcome: PreprocessOutcome) -> None:
        record, name = self._records[outcome.scan], self._plans[outcome.scan].name
        usable = outcome.status == "ok"
        self._rows[outcome.scan] = QualityRow(
            scan=str(record.scan),
            subject=record.subject,
            session=record.session,
            site=record.site,
            status=outcome.status,
            stage=outcome.stage,
            reason=outcome.reason,
            flags=quality_flags(outcome.quality) if usable else (),
            figures=outcome.quality,
            output=name.image if usable else None,
            picture=name.picture if usable else None,
            preprocessing_key=outcome.key,
            cached=outcome.cached,
            seconds=outcome.seconds,
        )

    def rows(self) -> list[QualityRow]:
        """A row for every input scan, in input order."""
        return [
            self._rows.get(scan)
            or QualityRow(
                scan=str(scan),
                subject=record.subject,
                session=record.session,
                site=record.site,
                status="skipped",
                reason=INTERRUPTED,
            )
            for scan, record in self._records.items()
        ]

    def write_tables(self) -> None:
        """Write ``qc.csv`` and ``qc.html``."""
        rows = self.rows()
        write_quality_table(rows, self._out / TABLE)
        page = QualityPage(
            title=self._out.resolve().name,
            preprocessing_hash=preprocessing_hash(self._config),
            spacing_mm=self._config.grid.spacing_mm,
            cards=tuple(_card(row) for row in rows),
        )
        write_quality_page(page, self._out / PAGE, pictures=self._out)

    def summary(self) -> PreprocessSummary:
        """The numbers of the run."""
        rows = self.rows()
        return PreprocessSummary(
            scans=len(rows),
            ok=sum(row.status == "ok" for row in rows),
            failed=sum(row.status == "failed" for row in rows),
            cached=sum(row.cached for row in rows),
            unchanged=self._unchanged,
            flagged=sum(bool(row.flags) for row in rows),
            seconds_per_scan_median=(
                round(statistics.median(self._seconds), 3) if self._seconds else None
            ),
            out=self._out,
        )


def _card(row: QualityRow) -> ScanCard:
    return ScanCard(
        scan=row.scan,
        subject=row.subject,
        session=row.session,
        site=row.site,
        status=row.status,
        stage=row.stage,
        reason=row.reason,
        flags=row.flags,
        figures=row.figures,
        picture=row.picture,
    )
