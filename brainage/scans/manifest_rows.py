"""Rows of a manifest as records, each with everything that is wrong with it."""

import os
import re
from pathlib import Path, PurePosixPath

from brainage.scans.ages import Age, parse_age
from brainage.scans.record import ScanRecord, entity, run_of
from brainage.scans.table import Row

_MISSING = frozenset({"", "n/a"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RowReader:
    """Turns rows into records and remembers what must not come twice."""

    def __init__(self, root: Path, require_ages: bool) -> None:
        self.root = root
        self.require_ages = require_ages
        self.notes: list[str] = []
        self._row_of_scan: dict[Path, int] = {}
        self._row_of_content: dict[str, int] = {}
        self._visits: dict[str, dict[tuple[str | None, str | None], tuple[int, float | None]]] = {}

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
            run=cells.get("run") or run_of(relative),
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
        self._check_visit(number, record, faults)

    def _check_visit(self, number: int, record: ScanRecord, faults: list[str]) -> None:
        """A subject's scans differ by session, or within one by run, and then have one age."""
        visits = self._visits.setdefault(record.subject, {})
        same = visits.get((record.session, record.run))
        ages = {age for (session, _), (_, age) in visits.items() if session == record.session}
        sessions = {session for session, _ in visits}
        where = "" if record.session is None else f" in session {record.session}"
        if same is not None:
            fault = f"subject: {record.subject} of row {same[0]} again{where}"
            if same[1] != record.age_years:
                fault += f" with another age ({same[1]} and {record.age_years} years)"
            faults.append(
                f"{fault}; repeat scans of a subject need different sessions, or runs within one"
            )
        elif ages - {record.age_years}:
            faults.append(
                f"subject: another age of {record.subject}{where} than in its other run "
                f"({ages.pop()} and {record.age_years} years)"
            )
        elif None in sessions ^ {record.session} and sessions:
            faults.append(
                f"session: {record.subject} has several scans, so each needs one, "
                f"got {record.session or 'none'} here and {next(iter(sessions)) or 'none'} before"
            )
        visits.setdefault((record.session, record.run), (number, record.age_years))
