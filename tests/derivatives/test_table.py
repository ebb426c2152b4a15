import csv
import os

import pytest

from brainage.derivatives.table import (
    COLUMNS,
    QualityRow,
    append_quality_row,
    write_quality_table,
)
from brainage.errors import RunFolderError


def row(scan: str, **cells) -> QualityRow:
    cells = {"subject": "s", "session": None, "site": None, "status": "ok", **cells}
    return QualityRow(scan=scan, **cells)


def test_rows_that_are_added_one_by_one_are_those_of_the_whole_table(tmp_path):
    rows = [
        row("a,b"),
        row("c", status="failed", reason='no "brain"\nfound'),
        row("\udce9.nii"),
        row("d\re"),
    ]
    write_quality_table(rows, tmp_path / "whole.csv")
    write_quality_table(rows[:1], tmp_path / "grown.csv")
    for each in rows[1:]:
        append_quality_row(each, tmp_path / "grown.csv")
    content = (tmp_path / "grown.csv").read_bytes()
    assert content == (tmp_path / "whole.csv").read_bytes()
    with (tmp_path / "grown.csv").open(newline="", errors="surrogateescape") as file:
        assert list(csv.reader(file)) == [list(COLUMNS), *(each.cells() for each in rows)]


@pytest.mark.parametrize("where", ["write", "sync"])
def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch, where):
    path = tmp_path / "qc.csv"
    write_quality_table([row("a")], path)
    before = path.read_bytes()
    if where == "write":
        resource = pytest.importorskip("resource")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
        try:
            with pytest.raises(RunFolderError, match=r"qc.csv: cannot write: "):
                append_quality_row(row("b"), path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    else:

        def fail(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(RunFolderError, match="No space left"):
            append_quality_row(row("b"), path)
    assert path.read_bytes() == before
