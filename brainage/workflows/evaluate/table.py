"""Predictions to be evaluated, out of a finished table, whoever wrote it."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brainage.errors import CohortError, ManifestError
from brainage.reporting.counts import counted
from brainage.reporting.run_report import FailedScan, PredictedScan
from brainage.scans.ages import parse_age
from brainage.scans.manifest import ScanRecord
from brainage.scans.table import Row, finite_number, read_table, refuse_problems

REQUIRED = ("scan", "subject", "age_years", "predicted_age")
MOST_YEARS = 1000.0
"""No model answers beyond this, in years; such a number is of another unit, or broken."""

UNNAMED = "table-"
"""What the hash of predictions begins with whose model is not known."""
_NUMBERS = ("training_mean_age_years", "interval_low", "interval_high")
_MISSING = frozenset({"", "n/a", "nan"})


@dataclass(frozen=True, kw_only=True)
class PredictedTable:
    """Predictions of one model, or out of the folds of one run."""

    scans: tuple[PredictedScan, ...]
    failed: tuple[FailedScan, ...]

    model: str
    """Hash of the model where the table has one, or else of the predictions themselves."""

    nominal_coverage: float | None
    """What the table's intervals are made to hold."""


def read_predictions(path: Path) -> PredictedTable:
    """Read a table of predictions with ages.

    Args:
        path: CSV with the columns of ``REQUIRED``; those that ``brainage predict`` and
            ``brainage train`` write beside them are used where they are there.

    Raises:
        ManifestError: if a column is missing, or names the bad rows; if the rows are of several
            models; if no scan was predicted.
    """
    table = read_table(path)
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise ManifestError(
            f"{path}: expected a table of predictions, the column {missing[0]} is missing; got "
            f"{', '.join(table.columns)}"
        )
    scans, failed, problems = [], [], list(table.problems)
    for row in table.rows:
        try:
            if _is_failed(row):
                failed.append(_failed_scan(row.cells))
            else:
                scans.append(_predicted_scan(row))
        except ValueError as error:
            problems.append(f"row {row.number}: {error}")
    refuse_problems(path, problems + _repeats(scans))
    if not scans:
        raise ManifestError(
            f"{path}: none of its {counted(len(table.rows), 'row')} has a prediction"
        )
    return PredictedTable(
        scans=tuple(scans),
        failed=tuple(failed),
        model=_model(path, table.rows, scans),
        nominal_coverage=_nominal_coverage(path, table.rows),
    )


def joined_predictions(
    records: Sequence[ScanRecord],
    path: Path,
    *,
    model: str,
    training_mean_age_years: float | None,
) -> PredictedTable:
    """The table that ``brainage predict`` wrote for these records, with what they know of people.

    Raises:
        CohortError: if no scan could be predicted.
    """
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.DictReader(stream))
    scans: list[PredictedScan] = []
    failed: list[FailedScan] = []
    for record, row in zip(records, rows, strict=True):
        predicted = _number(row, "predicted_age")
        if predicted is None:
            failed.append(_failed_scan(row))
            continue
        assert record.age_years is not None, record.scan
        scans.append(
            PredictedScan(
                scan=row["scan"],
                subject=record.subject,
                session=record.session,
                age_years=record.age_years,
                predicted_age=predicted,
                sex=record.sex,
                site=record.site,
                training_mean_age_years=training_mean_age_years,
                interval_low=_number(row, "interval_low"),
                interval_high=_number(row, "interval_high"),
            )
        )
    if not scans:
        raise CohortError(
            f"none of {counted(len(records), 'scan')} could be predicted; the first: "
            f"{failed[0].scan}: {failed[0].stage}: {failed[0].reason}"
        )
    stated = {value for row in rows if (value := _number(row, "coverage")) is not None}
    return PredictedTable(
        scans=tuple(scans),
        failed=tuple(failed),
        model=model,
        nominal_coverage=stated.pop() if len(stated) == 1 else None,
    )


def with_training_mean(table: PredictedTable, mean_years: float | None) -> PredictedTable:
    """The table, with the mean training age where it says none."""
    scans = (
        replace(scan, training_mean_age_years=mean_years)
        if scan.training_mean_age_years is None
        else scan
        for scan in table.scans
    )
    return replace(table, scans=tuple(scans))


def _failed_scan(cells: Mapping[str, str]) -> FailedScan:
    """The row of a scan without a prediction."""
    return FailedScan(
        scan=cells["scan"],
        stage=cells.get("stage") or "unknown",
        reason=cells.get("reason") or "the table has no prediction for it",
    )


def _number(cells: Mapping[str, str], column: str) -> float | None:
    """A finite number, or None for an empty or absent cell.

    Raises:
        ValueError: for anything else.
    """
    text = cells.get(column, "").strip()
    if text.lower() in _MISSING:
        return None
    try:
        return finite_number(text)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None


def _is_failed(row: Row) -> bool:
    status = row.cells.get("status", "ok").lower()
    return status in {"failed", "skipped"} or row.cells["predicted_age"].lower() in _MISSING


def _predicted_scan(row: Row) -> PredictedScan:
    cells = row.cells
    try:
        age = parse_age(cells["age_years"]).years
    except ValueError as error:
        raise ValueError(f"age_years: {error}") from None
    if age is None:
        raise ValueError(f"age_years: expected an age in years, got {cells['age_years']!r}")
    if not cells["subject"]:
        raise ValueError("subject: expected a name, got nothing")
    predicted = _number(cells, "predicted_age")
    if predicted is None or not abs(predicted) <= MOST_YEARS:
        raise ValueError(f"predicted_age: expected years, got {cells['predicted_age']!r}")
    fold = _number(cells, "fold")
    if fold is not None and fold != int(fold):
        raise ValueError(f"fold: expected a whole number, got {cells['fold']!r}")
    return PredictedScan(
        scan=cells["scan"],
        subject=cells["subject"],
        session=cells.get("session") or None,
        age_years=age,
        predicted_age=predicted,
        sex=cells.get("sex") or None,
        site=cells.get("site") or None,
        fold=None if fold is None else int(fold),
        **{name: _number(cells, name) for name in _NUMBERS},
    )


def _repeats(scans: Sequence[PredictedScan]) -> list[str]:
    """A scan that has several rows."""
    seen: set[str] = set()
    problems = []
    for scan in scans:
        if scan.scan in seen:
            problems.append(f"{scan.scan} has several rows")
        seen.add(scan.scan)
    return problems


def _model(path: Path, rows: Sequence[Row], scans: Sequence[PredictedScan]) -> str:
    """The model's hash, or one of the predictions where the table does not name it."""
    named = {row.cells.get("model_hash", "") for row in rows} - {""}
    if len(named) > 1:
        raise ManifestError(
            f"{path}: expected predictions of one model, got rows of {len(named)}: "
            f"{', '.join(sorted(named)[:3])}"
        )
    content = json.dumps(sorted((scan.subject, scan.predicted_age) for scan in scans))
    return named.pop() if named else f"{UNNAMED}{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _nominal_coverage(path: Path, rows: Sequence[Row]) -> float | None:
    try:
        found = {_number(row.cells, "coverage") for row in rows if not _is_failed(row)}
    except ValueError as error:
        raise ManifestError(f"{path}: {error}") from error
    value = found.pop() if len(found) == 1 else None
    if value is not None and not 0 < value < 1:
        raise ManifestError(f"{path}: coverage: expected a fraction between 0 and 1, got {value}")
    return value
