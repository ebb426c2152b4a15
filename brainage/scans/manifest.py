"""Manifests: tables that say which scan belongs to whom, and how old that person was.

The columns are described in ``data_manifests/README.md``.
"""

import difflib
import logging
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from brainage.errors import ManifestError
from brainage.scans.located import is_there
from brainage.scans.manifest_rows import RowReader
from brainage.scans.record import Manifest, ScanRecord, entity, run_of
from brainage.scans.table import Table, csv_line, read_table, refuse_problems

__all__ = [
    "COLUMNS",
    "Manifest",
    "ScanRecord",
    "entity",
    "read_manifest",
    "run_of",
    "write_manifest",
]

COLUMNS = ("scan", "subject", "session", "run", "age_years", "sex", "site", "sha256")
"""``run`` is only written where a session has several scans."""

_OTHER_NAMES = {
    "age": "age_years",
    "participant_id": "subject",
    "path": "scan",
    "file": "scan",
    "filename": "scan",
    "gender": "sex",
}
logger = logging.getLogger(__name__)


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
    check_columns(path, table, require_ages=require_ages)
    reader = RowReader(path.parent if root is None else root, require_ages)
    records, problems = [], list(table.problems)
    for row in table.rows:
        try:
            records.append(reader.record(row))
        except ValueError as error:
            problems.append(f"row {row.number}: {error}")
    refuse_problems(path, problems)
    if not records:
        raise ManifestError(f"{path}: expected one row per scan, got only a header")
    if not any(is_there(record.scan) for record in records):
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
    records = list(records)
    columns = [name for name in COLUMNS if name != "run" or any(r.run for r in records)]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_line(columns))
            for record in records:
                file.write(csv_line([_cell(record, column, root.resolve()) for column in columns]))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _cell(record: ScanRecord, column: str, root: Path) -> str:
    if column == "scan":
        inside = record.scan.is_relative_to(root)
        return (record.scan.relative_to(root) if inside else record.scan).as_posix()
    value = getattr(record, column)
    if isinstance(value, float):
        # Decimal of the shortest text that reads back as the same number, never "1e-05".
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return "" if value is None else str(value)


def check_columns(path: Path, table: Table, *, require_ages: bool) -> None:
    """Refuse a header without the columns needed, or with one that looks misspelt.

    Raises:
        ManifestError: with the names that were meant.
    """
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
