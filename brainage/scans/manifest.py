"""Manifests: tables that say which scan belongs to whom, and how old that person was.

The columns are described in ``data_manifests/README.md``.
"""

import csv
import difflib
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath

from brainage.errors import ManifestError
from brainage.scans.ages import Age, parse_age
from brainage.scans.table import Row, Table, read_table, refuse_problems

COLUMNS = ("scan", "subject", "session", "age_years", "sex", "site", "sha256")

_OTHER_NAMES = {
    "age": "age_years",
    "participant_id": "subject",
    "path": "scan",
    "file": "scan",
    "filename": "scan",
    "gender": "sex",
}
_MISSING = frozenset({"", "n/a"})
_SHA256 = re.compile(r"[0-9a-f]{64}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanRecord:
    """One scan and what is known about the person in it."""

    scan: Path
    """Absolute path of the scan; the file need not exist."""
    subject: str
    """Who was scanned; all scans of one subject stay in one part of every split."""
    session: str | None = None
    age_years: float | None = None
    """Age at the scan."""
    sex: str | None = None
    site: str | None = None
    sha256: str | None = None
    """Of the scan file's bytes, lower-case hexadecimal."""


@dataclass(frozen=True)
class Manifest:
    """Scans in the order of their source."""

    records: tuple[ScanRecord, ...]
    source: Path
    """The table, folder or file that the records were read from."""


def entity(path: PurePosixPath, key: str) -> str | None:
    """A BIDS entity of a path, e.g. ``sub-01`` for the key "sub"; the file name comes first."""
    for part in reversed(path.parts):
        match = re.match(rf"(?:.*_)?({key}-[^_.]+)", part)
        if match:
            return match[1]
    return None


def read_manifest(path: Path, root: Path | None = None, *, require_ages: bool) -> Manifest:
    """Read a manifest and refuse it whole if any of its rows is wrong.

    A scan file that is missing is no fault of the manifest: it costs its row when it is read.
    Only a manifest none of whose scans exist is refused, since then the root is wrong.

    Args:
        path: the table; commas, semicolons or tabs between the columns.
        root: folder that the column ``scan`` starts from; by default the manifest's own folder.
        require_ages: refuse rows without an age, and rows without a subject whose scan has no
            ``sub-`` in its name (scans of one person must be known to be his for a split).

    Raises:
        ManifestError: names all bad rows, the first ten in words.
    """
    table = read_table(path)
    _check_columns(path, table, require_ages)
    reader = _RowReader(path.parent if root is None else root, require_ages)
    records, problems = [], list(table.problems)
    for row in table.rows:
        try:
            records.append(reader.record(row))
        except ValueError as error:
            problems.append(f"row {row.number}: {error}")
    refuse_problems(path, problems)
    if not records:
        raise ManifestError(f"{path}: expected one row per scan, got only a header")
    if not any(os.path.exists(record.scan) for record in records):  # noqa: PTH110 - never raises
        raise ManifestError(
            f"{path}: none of its {len(records)} scans exists; looked for {records[0].scan} "
            "and so on; set the folder that the column scan starts from"
        )
    for note in reader.notes:
        logger.warning("%s: %s", path, note)
    return Manifest(tuple(records), path)


def write_manifest(records: Iterable[ScanRecord], path: Path, root: Path) -> None:
    """Write records as a manifest; scans below ``root`` are written relative to it.

    The file appears at once or not at all.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in records:
            writer.writerow([_cell(record, column, root.resolve()) for column in COLUMNS])
    temporary.replace(path)


def _cell(record: ScanRecord, column: str, root: Path) -> str:
    if column == "scan":
        inside = record.scan.is_relative_to(root)
        return (record.scan.relative_to(root) if inside else record.scan).as_posix()
    value = getattr(record, column)
    if isinstance(value, float):
        # Decimal of the shortest text that reads back as the same number, never "1e-05".
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return "" if value is None else str(value)


def _check_columns(path: Path, table: Table, require_ages: bool) -> None:
    required = ("scan", "age_years") if require_ages else ("scan",)
    absent = [name for name in COLUMNS if name not in table.columns]
    problems = []
    for column in table.columns:
        close = difflib.get_close_matches(column, absent, n=1, cutoff=0.8)
        meant = _OTHER_NAMES.get(column, close[0] if close else "")
        if column not in COLUMNS and meant in absent:
            problems.append(f"unknown column '{column}', did you mean '{meant}'?")
    if not problems:
        missing = [name for name in required if name not in table.columns]
        if missing:
            got = ", ".join(table.columns)
            problems.append(f"the column {' and '.join(missing)} is missing; got {got}")
    refuse_problems(path, problems)


class _RowReader:
    """Turns rows into records and remembers what must not come twice."""

    def __init__(self, root: Path, require_ages: bool) -> None:
        self.root = root
        self.require_ages = require_ages
        self.notes: list[str] = []
        self._row_of_scan: dict[Path, int] = {}
        self._row_of_content: dict[str, int] = {}
        self._visits: dict[str, dict[str | None, tuple[int, float | None]]] = {}

    def record(self, row: Row) -> ScanRecord:
        """One record.

        Raises:
            ValueError: with everything that is wrong with the row.
        """
        cells = {
            name: None if cell.lower() in _MISSING else cell for name, cell in row.cells.items()
        }
        faults: list[str] = []
        age = self._age(row, faults)
        sha256 = (cells.get("sha256") or "").lower() or None
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            faults.append(f"sha256: expected 64 hexadecimal digits, got {cells['sha256']!r}")
        name = cells.get("scan")
        if name is None:
            raise ValueError("; ".join(["scan: expected the path of a scan, got nothing", *faults]))
        relative = PurePosixPath(name)
        subject = cells.get("subject") or entity(relative, "sub")
        if subject is None and self.require_ages:
            faults.append("subject: expected a name, or sub- in the scan's path, got neither")
        record = ScanRecord(
            # realpath, unlike Path.resolve, takes any name; reading the scan then says what ails it
            scan=Path(os.path.realpath(self.root / name)),
            subject=subject or name,
            session=cells.get("session") or entity(relative, "ses"),
            age_years=age.years,
            sex=cells.get("sex"),
            site=cells.get("site"),
            sha256=sha256,
        )
        self._check_repeats(row.number, record, faults)
        if faults:
            raise ValueError("; ".join(faults))
        return record

    def _age(self, row: Row, faults: list[str]) -> Age:
        text = row.cells.get("age_years", "")
        try:
            age = parse_age(text)
        except ValueError as error:
            faults.append(f"age_years: {error}")
            return Age(None)
        if age.note is not None:
            self.notes.append(f"row {row.number}: age_years: {age.note}")
        if age.years is None and self.require_ages:
            faults.append(f"age_years: expected an age in years, got {text!r}")
        return age

    def _check_repeats(self, number: int, record: ScanRecord, faults: list[str]) -> None:
        earlier = self._row_of_scan.setdefault(record.scan, number)
        if earlier != number:
            faults.append(f"scan: the file of row {earlier} again, got {record.scan.name}")
            return
        if record.sha256 is not None:
            earlier = self._row_of_content.setdefault(record.sha256, number)
            if earlier != number:
                faults.append(f"sha256: the same content as row {earlier}")
        visits = self._visits.setdefault(record.subject, {})
        if record.session in visits:
            earlier, age_years = visits[record.session]
            fault = f"subject: {record.subject} of row {earlier} again"
            if record.session is not None:
                fault += f" in session {record.session}"
            if age_years != record.age_years:
                fault += f" with another age ({age_years} and {record.age_years} years)"
            faults.append(f"{fault}; repeat scans of a subject need different sessions")
        elif visits and None in {record.session, *visits}:
            faults.append(
                f"session: {record.subject} has several scans, so each needs one, "
                f"got {record.session or 'none'} here and {next(iter(visits)) or 'none'} before"
            )
        visits.setdefault(record.session, (number, record.age_years))
