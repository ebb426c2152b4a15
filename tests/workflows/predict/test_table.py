import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.errors import RunFolderError
from brainage.workflows.predict.row import COLUMNS, ScanPrediction
from brainage.workflows.predict.table import (
    PredictionTable,
    TableContent,
    finished_rows,
)

ROW = ScanPrediction(
    scan="a.nii", subject="a", session=None, status="ok", qc_flags=("low_cjv", "in_training"),
    age_years=40.0, predicted_age=41.23456, brain_age_gap=1.23456, age_in_training_range=True,
    model_hash="m", preprocessing_hash="p", seconds=2.0, spread_workers=0.5,
)  # fmt: skip
NAMES = ["a.nii", "b.nii", "c.nii"]
ROWS = [replace(ROW, scan=name) for name in NAMES]


def content(names=NAMES, model="m"):
    return TableContent(tuple((name, "a", "", "40.0000") for name in names), model)


def written(path, rows=ROWS, names=NAMES):
    with PredictionTable(path, content(names)) as writer:
        for index, row in enumerate(rows):
            writer.add(index, row)
    return path


@pytest.fixture
def table(tmp_path):
    return written(tmp_path / "table.csv")


def read(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def names_in(path):
    return [row[0] for row in read(path)[1:]]


def test_the_columns_are_those_promised_and_then_ours():
    assert COLUMNS == (
        "scan", "subject", "session", "status", "stage", "reason", "qc_flags", "age_years",
        "predicted_age", "predicted_age_corrected", "brain_age_gap", "brain_age_gap_corrected",
        "interval_low", "interval_high", "coverage", "age_in_training_range", "model_hash",
        "preprocessing_hash", "seconds", "spread_workers", "spread_blocks", "spread_networks",
        "spread_views", "training_distance", "scan_sha256",
    )  # fmt: skip


def test_numbers_are_plain_flags_have_spaces_and_the_unknown_is_empty(table):
    filled = {
        "scan": "a.nii", "subject": "a", "status": "ok", "qc_flags": "low_cjv in_training",
        "age_years": "40.0000", "predicted_age": "41.2346", "brain_age_gap": "1.2346",
        "age_in_training_range": "true", "model_hash": "m", "preprocessing_hash": "p",
        "seconds": "2.0000", "spread_workers": "0.5000",
    }  # fmt: skip
    assert dict(zip(*read(table)[:2], strict=True)) == dict.fromkeys(COLUMNS, "") | filled


def test_rows_reach_the_disk_in_input_order_as_soon_as_they_can(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with PredictionTable(path, content()) as writer:
        assert read(path) == [list(COLUMNS)]
        writer.add(1, ROWS[1])
        assert names_in(path) == []
        writer.add(0, ROWS[0])
        assert names_in(path) == NAMES[:2]
        writer.add(2, ROWS[2])
        assert names_in(path) == NAMES
    assert [entry.name for entry in path.parent.iterdir()] == ["table.csv"]


def test_a_row_before_its_turn_outlives_the_process(tmp_path):
    """What is on the disk when the row was taken is all that a killed process leaves."""
    path, dead = tmp_path / "table.csv", tmp_path / "dead"
    dead.mkdir()
    with PredictionTable(path, content()) as writer:
        writer.add(2, ROWS[2])
        for file in tmp_path.glob("table.csv*"):
            (dead / file.name).write_bytes(file.read_bytes())
    with PredictionTable(dead / "table.csv", content(), resume=True) as writer:
        assert list(writer.kept) == [2]
        writer.add(0, ROWS[0])
        writer.add(1, ROWS[1])
    assert read(dead / "table.csv") == read(written(tmp_path / "whole.csv"))
    assert [entry.name for entry in dead.iterdir()] == ["table.csv"]


def test_a_journal_cut_off_anywhere_gives_back_its_whole_rows(tmp_path):
    path = tmp_path / "table.csv"
    journal = tmp_path / "table.csv.rows.jsonl"
    with PredictionTable(path, content()) as writer:
        writer.add(1, ROWS[1])
        writer.add(2, ROWS[2])
        whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in (*ends, *(end - 1 for end in ends), *range(0, len(whole), 13)):
        journal.write_bytes(whole[:length])
        with PredictionTable(path, content(), resume=True) as writer:
            expected = [index for index, end in ((1, ends[1]), (2, ends[2])) if length >= end]
            assert sorted(writer.kept) == expected, length


def test_a_journal_of_another_model_or_other_scans_is_not_kept(tmp_path):
    path = tmp_path / "table.csv"
    with PredictionTable(path, content()) as writer:
        writer.add(1, ROWS[1])
    for other in (content(model="other"), content(names=["x.nii", *NAMES[1:]])):
        with pytest.raises(RunFolderError, match=r"cannot be resumed: table\.csv\.rows\.jsonl"):
            PredictionTable(path, other, resume=True)
    with PredictionTable(path, content(), resume=True) as writer:
        assert list(writer.kept) == [1], "a refusal changes nothing"


def test_without_resuming_nothing_is_kept(table):
    with PredictionTable(table, content()) as writer:
        writer.add(1, ROWS[1])
    with PredictionTable(table, content()) as writer:
        assert writer.kept == {}
    assert names_in(table) == []


def test_only_failed_rows_are_done_again_when_asked(tmp_path):
    failed = replace(ROWS[0], status="failed")
    path = written(tmp_path / "table.csv", [failed, *ROWS[1:]])
    with PredictionTable(path, content(), resume=True, retry_failed=True) as writer:
        assert sorted(writer.kept) == [1, 2]
        assert names_in(path) == []
    # killed before the failed one was done: nothing of the others is lost
    with PredictionTable(path, content(), resume=True) as writer:
        assert sorted(writer.kept) == [1, 2]
        writer.add(0, ROWS[0])
    assert read(path) == read(written(tmp_path / "whole.csv"))


def test_two_processes_do_not_write_one_table(tmp_path):
    path = tmp_path / "table.csv"
    with PredictionTable(path, content()) as writer:
        writer.add(0, ROWS[0])
        for resume in (False, True):
            with pytest.raises(RunFolderError, match=r"table\.csv: another process is writing it"):
                PredictionTable(path, content(), resume=resume)
        writer.add(1, ROWS[1])
    assert names_in(path) == NAMES[:2]
    with PredictionTable(path, content(), resume=True) as writer:
        assert list(writer.kept) == [0, 1]


def test_a_whole_table_is_kept(table):
    assert finished_rows(table, content()) == read(table)[1:]


def test_there_is_nothing_to_keep_of_a_table_that_is_not_there(tmp_path):
    assert finished_rows(tmp_path / "none.csv", content()) == []


@pytest.mark.parametrize("name", ["with\nline break.nii", 'caf\udce9,"b".nii'])
def test_wherever_writing_was_cut_off_only_whole_rows_are_kept(name, tmp_path):
    rows = [replace(ROW, scan=name, reason="of\ntwo lines"), ROWS[1]]
    names = [name, "b.nii"]
    path, whole = tmp_path / "cut.csv", written(tmp_path / "whole.csv", rows, names)
    text = whole.read_bytes()
    expected = finished_rows(whole, content(names))
    assert [row[0] for row in expected] == names
    first_end = text.index(b"\nb.nii")
    for length in range(len(text)):
        path.write_bytes(text[:length])
        assert finished_rows(path, content(names)) == expected[: length > first_end], length


def test_a_name_that_is_no_text_comes_back_out_of_the_journal(tmp_path):
    path, names = tmp_path / "table.csv", ["b.nii", "caf\udce9.nii"]
    with PredictionTable(path, content(names)) as writer:
        writer.add(1, replace(ROW, scan=names[1]))
    with PredictionTable(path, content(names), resume=True) as writer:
        assert writer.kept[1][0] == names[1]


@pytest.mark.parametrize(
    ("wanted", "text", "message"),
    [
        (content(["x.nii", *NAMES]), None, "its rows are of other scans"),
        (content(NAMES[:2]), None, "its rows are of other scans"),
        (content(model="other"), None, "its rows are of another model"),
        (TableContent((("a.nii", "a", "", "41.0000"),) * 3, "m"), None, "its rows are of other"),
        (content(), "subject,age\na,40\n", "it has other columns"),
        (content(), ",".join(COLUMNS) + "\na.nii\nb.nii,b\n", "it has rows of other columns"),
        (content(), "x" * 200_000 + "\n", "it is no table"),
    ],
)
def test_another_table_is_not_resumed(wanted, text, message, table):
    if text is not None:
        table.write_text(text)
    before = table.read_bytes()
    with pytest.raises(RunFolderError, match=f"table.csv: cannot be resumed: {message}"):
        PredictionTable(table, wanted, resume=True)
    assert table.read_bytes() == before
    assert [entry.name for entry in table.parent.iterdir()] == ["table.csv"]


def test_a_person_of_whom_something_else_is_told_now_is_named(table):
    known = (("a.nii", "a", "", "41.0000"), *content().known[1:])
    expected = r"cannot be resumed: age_years of a\.nii is '40\.0000' in it and '41\.0000' now"
    with pytest.raises(RunFolderError, match=expected):
        finished_rows(table, TableContent(known, "m"))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunFolderError, match=r"table\.csv: cannot write: "):
        PredictionTable(tmp_path / "file" / "table.csv", content())
    for path in (tmp_path / "folder", Path(os.devnull)):  # neither is replaced by a table
        with pytest.raises(RunFolderError, match=f"{path.name}: is no file that could hold a"):
            PredictionTable(path, content())
    assert not Path(os.devnull).is_file()
    with pytest.raises(RunFolderError, match="folder: cannot read: Is a directory"):
        finished_rows(tmp_path / "folder", content())
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_the_journal_says_what_it_belongs_to(tmp_path):
    with PredictionTable(tmp_path / "table.csv", content()):
        line = (tmp_path / "table.csv.rows.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["model"] == "m"


FULL = """
import resource, signal
from pathlib import Path
from brainage.errors import RunFolderError
from brainage.workflows.predict.table import PredictionTable, TableContent

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
try:
    PredictionTable(Path("table.csv"), TableContent((("a", "a", "", ""),), "m"))
except RunFolderError as error:
    print(error)
"""


def test_a_disk_that_is_full_before_the_first_row_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "table.csv: cannot write: File too large\n"


def test_a_carriage_return_in_a_name_ends_no_row(tmp_path):
    names = ["a\rb.nii", "c.nii"]
    path = written(tmp_path / "table.csv", [replace(ROW, scan=name) for name in names], names)
    with path.open(newline="") as stream:
        assert [row["scan"] for row in csv.DictReader(stream)] == names


def test_rows_of_other_bytes_are_not_kept(tmp_path):
    path = tmp_path / "table.csv"
    with PredictionTable(path, content()) as writer:
        writer.add(0, replace(ROWS[0], scan_sha256="aa"))
        writer.add(1, replace(ROWS[1], scan_sha256="bb"))
    same = {(0, "aa")}
    with PredictionTable(
        path, content(), resume=True, is_same=lambda index, digest: (index, digest) in same
    ) as writer:
        assert list(writer.kept) == [0]
