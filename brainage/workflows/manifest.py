"""``brainage manifest build`` and ``check``: cohort tables, made and examined row by row."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brainage.errors import ManifestError, RunFolderError, ScanError
from brainage.scans.manifest import check_columns, write_manifest
from brainage.scans.manifest_rows import RowReader
from brainage.scans.nifti import parse_scan, read_scan_bytes
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.scans.table import read_table
from brainage.tracking.progress import StageProgress


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and everything that is wrong with it."""

    row: int
    scan: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class ManifestSummary:
    """What is in a manifest. ``without_age`` rows are good for prediction, not for training."""

    manifest: Path
    rows: int
    subjects: int
    without_age: int
    age_range_years: tuple[float, float] | None
    bad: tuple[BadRow, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 when a row is bad."""
        return 1 if self.bad else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each; every bad row by name."""
        ages = "no ages"
        if self.age_range_years is not None:
            ages = "ages {:.1f} to {:.1f} years".format(*self.age_range_years)
        missing = f", {self.without_age} without age" if self.without_age else ""
        return [
            *(f"row {bad.row}: {bad.scan}: {bad.problem}" for bad in self.bad),
            f"rows: {self.rows}; {self.rows - len(self.bad)} good, {len(self.bad)} bad",
            f"subjects: {self.subjects}; {ages}{missing}",
            f"manifest: {self.manifest}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        return plain | {"manifest": str(self.manifest), "ok": self.rows - len(self.bad)}


def build_manifest(
    source: Path, *, out: Path, root: Path | None = None, subject_from: str = "hash"
) -> ManifestSummary:
    """Write a manifest of every scan of a source, each read and hashed.

    A scan that cannot be used keeps its row, so that nothing vanishes; the summary names it.

    Args:
        source: anything `find_scans` takes.
        out: the table to write.
        root: folder that scans are written relative to; that of ``out`` by default.
        subject_from: how DICOM subjects are named, see `find_scans`.

    Raises:
        BrainageError: if the source cannot be used or the table not be written.
    """
    records = find_scans(source, root, subject_from=subject_from).records
    if os.path.realpath(out) in {os.path.realpath(path) for path in _inputs(source, records)}:
        raise RunFolderError(f"{out}: is the source or one of its scans; give --out another name")
    folder = out.parent if root is None else root
    faults: dict[int, str] = {}
    hashed = []
    with StageProgress("reading", len(records), "scan") as progress:
        # The header is row 1, as a spreadsheet shows it.
        for row, record in enumerate(records, start=2):
            digest, fault = _examined(record)
            hashed.append(replace(record, sha256=digest))
            if fault is not None:
                faults[row] = fault
            progress.advance()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_manifest(hashed, out, folder)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot write: {error.strerror}") from error
    return _summary(out, *_read_rows(out, folder), faults)


def check_manifest(manifest: Path, *, root: Path | None = None) -> ManifestSummary:
    """Examine every row: its cells, that its scan is there, readable and the one it names.

    Args:
        manifest: the table.
        root: folder that the column ``scan`` starts from; the manifest's own by default.

    Raises:
        ManifestError: if it is no table or its header cannot be used.
    """
    records, bad = _read_rows(manifest, manifest.parent if root is None else root)
    if not records and not bad:
        raise ManifestError(f"{manifest}: expected one row per scan, got only a header")
    faults: dict[int, str] = {}
    row_of_content: dict[str, int] = {}
    with StageProgress("checking", len(records), "scan") as progress:
        for row, record in records.items():
            digest, fault = _examined(record)
            if fault is not None:
                faults[row] = fault
            elif record.sha256 not in {None, digest}:
                faults[row] = f"sha256: expected {record.sha256}, the file's is {digest}"
            elif row_of_content.setdefault(digest or "", row) != row:
                faults[row] = f"scan: the same content as row {row_of_content[digest or '']}"
            progress.advance()
    return _summary(manifest, records, bad, faults)


def _inputs(source: Path, records: Sequence[ScanRecord]) -> list[Path]:
    return [source, *(record.scan for record in records)]


def _examined(record: ScanRecord) -> tuple[str | None, str | None]:
    """The hash of a scan, as far as it can be read, and why it cannot be used."""
    digest = None
    try:
        content, digest = read_scan_bytes(record.scan)
        parse_scan(record.scan, content, digest)
    except ScanError as error:
        return digest, f"{error.stage}: {error.reason}"
    return digest, None


def _read_rows(path: Path, root: Path) -> tuple[dict[int, ScanRecord], list[BadRow]]:
    """Records by row number, and the rows whose cells are wrong."""
    table = read_table(path)
    check_columns(path, table, require_ages=False)
    reader = RowReader(root, require_ages=False)
    records, bad = {}, []
    for problem in table.problems:
        number, _, what = problem.removeprefix("row ").partition(": ")
        bad.append(BadRow(int(number), "", what))
    for row in table.rows:
        try:
            records[row.number] = reader.record(row)
        except ValueError as error:
            bad.append(BadRow(row.number, row.cells["scan"], str(error)))
    return records, bad


def _summary(
    path: Path, records: dict[int, ScanRecord], bad: list[BadRow], faults: dict[int, str]
) -> ManifestSummary:
    told = {row.row: row for row in bad}
    for number, fault in faults.items():
        if number in told:
            told[number] = replace(told[number], problem=f"{told[number].problem}; {fault}")
        else:
            told[number] = BadRow(number, str(records[number].scan), fault)
    ages = [record.age_years for record in records.values() if record.age_years is not None]
    return ManifestSummary(
        manifest=path,
        rows=len(records) + len(bad),
        subjects=len({record.subject for record in records.values()}),
        without_age=len(records) - len(ages),
        age_range_years=(min(ages), max(ages)) if ages else None,
        bad=tuple(told[number] for number in sorted(told)),
    )
