"""FreeSurfer tables: thickness and volumes of many people, a row each.

Source: the tables ``OpenNeuroTransfer_ct_*.csv``; six studies of OpenNeuro.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.errors import DataError
from brainage.scans.ages import parse_age
from brainage.scans.record import ScanRecord
from brainage.scans.table import finite_number

SUBJECT, AGE, SEX, SITE = "sub_id", "age", "sex", "site"
PEOPLE_COLUMNS = (SUBJECT, AGE, SEX, SITE)
NO_FEATURE = (*PEOPLE_COLUMNS, "sitenum")


@dataclass(frozen=True)
class FeatureTable:
    """N rows of F features each; ``records`` say whose they are, ``names`` what they measure."""

    records: tuple[ScanRecord, ...]
    features_NF: npt.NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def ages_years(self) -> npt.NDArray[np.float64]:
        """Age of each row, (N,)."""
        return np.array([record.age_years for record in self.records], dtype=np.float64)

    @property
    def subjects(self) -> list[str]:
        """Who each row is of."""
        return [record.subject for record in self.records]

    @property
    def sites(self) -> list[str]:
        """Where each row was measured."""
        return [record.site or "" for record in self.records]

    def __len__(self) -> int:
        """Number of rows N."""
        return len(self.records)


def read_feature_table(path: Path) -> FeatureTable:
    """Read one table.

    Columns ``sub_id``, ``age`` in years, ``sex`` and ``site`` say whose a row is; ``sitenum`` is
    ignored; every other column is a feature and has a number in every row.

    Raises:
        DataError: names the column and row (from 1, below the header) that cannot be used.
    """
    header, rows = _cells(path)
    missing = [name for name in PEOPLE_COLUMNS if name not in header]
    if missing:
        raise DataError(f"{path}: expected the columns {', '.join(missing)}, got none of that name")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: expected each column once, got several of {', '.join(twice)}")
    names = tuple(name for name in header if name not in NO_FEATURE)
    if not names:
        raise DataError(f"{path}: expected columns of features, got none")
    records, features = [], []
    for number, cells in enumerate(rows, start=1):
        if len(cells) != len(header):
            raise DataError(f"{path}: row {number}: expected {len(header)} cells, got {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        records.append(_record(path, number, row))
        features.append([_number(path, number, name, row[name]) for name in names])
    if not records:
        raise DataError(f"{path}: expected rows below the header, got none")
    return FeatureTable(tuple(records), np.array(features, dtype=np.float64), names)


def join_tables(tables: Sequence[FeatureTable]) -> FeatureTable:
    """All rows of tables of the same features, in order.

    Raises:
        DataError: if a table has other features than the first; names them.
    """
    first = tables[0]
    for table in tables[1:]:
        other = sorted(set(first.names) ^ set(table.names))
        if other:
            raise DataError(
                f"{table.records[0].scan.parent}: expected the columns of "
                f"{first.records[0].scan.parent}, got {', '.join(other[:10])} in one of them only"
            )
    return FeatureTable(
        tuple(record for table in tables for record in table.records),
        np.vstack(
            [table.features_NF[:, [table.names.index(n) for n in first.names]] for table in tables]
        ),
        first.names,
    )


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: is missing; put the table there, or name its folder with --data"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    if not lines:
        raise DataError(f"{path}: expected a header, got an empty file")
    return [name.strip() for name in lines[0]], lines[1:]


def _record(path: Path, number: int, row: dict[str, str]) -> ScanRecord:
    for name in (SUBJECT, SITE):
        if not row[name].strip():
            raise DataError(f"{path}: row {number}: {name}: expected a name, got an empty cell")
    try:
        age = parse_age(row[AGE]).years
    except ValueError as error:
        raise DataError(f"{path}: row {number}: {AGE}: {error}") from error
    if age is None:
        raise DataError(f"{path}: row {number}: {AGE}: expected years, got {row[AGE]!r}")
    return ScanRecord(
        scan=path / str(number),
        subject=row[SUBJECT].strip(),
        age_years=age,
        sex=row[SEX].strip() or None,
        site=row[SITE].strip(),
    )


def _number(path: Path, number: int, name: str, cell: str) -> float:
    try:
        return finite_number(cell)
    except ValueError as error:
        raise DataError(f"{path}: row {number}: {name}: {error}") from error
