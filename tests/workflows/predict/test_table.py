import csv
from dataclasses import replace

import pytest

from brainage.errors import RunFolderError
from brainage.workflows.predict.table import (
    COLUMNS,
    PredictionRow,
    PredictionTable,
    finished_rows,
)

ROW = PredictionRow(
    scan="a.nii", subject="a", session=None, status="ok", age_years=40.0, predicted_age=41.23456,
    brain_age_gap=1.23456, age_in_training_range=True, model_hash="m", preprocessing_hash="p",
    seconds=2.0,
)  # fmt: skip
NAMES = ["a.nii", "b.nii", "c.nii"]
ROWS = [replace(ROW, scan=name) for name in NAMES]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    with PredictionTable(path, 3) as writer:
        for index, row in enumerate(ROWS):
            writer.add(index, row)
    return path


def read(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_numbers_are_plain_and_the_unknown_is_empty(table):
    assert dict(zip(*read(table)[:2], strict=True)) == {
        "scan": "a.nii", "subject": "a", "session": "", "status": "ok", "stage": "", "reason": "",
        "age_years": "40.0000", "predicted_age": "41.2346", "brain_age_gap": "1.2346",
        "age_in_training_range": "true", "model_hash": "m", "preprocessing_hash": "p",
        "seconds": "2.0000",
    }  # fmt: skip


def test_rows_reach_the_disk_in_input_order_as_soon_as_they_can(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with PredictionTable(path, 3) as writer:
        assert read(path) == [list(COLUMNS)]
        writer.add(1, ROWS[1])
        assert len(read(path)) == 1
        writer.add(0, ROWS[0])
        assert [row[0] for row in read(path)[1:]] == NAMES[:2]
        writer.add(2, ROWS[2])
        assert [row[0] for row in read(path)[1:]] == NAMES


def test_a_whole_table_is_kept(table):
    assert finished_rows(table, NAMES, "m") == read(table)[1:]


def test_there_is_nothing_to_keep_of_a_table_that_is_not_there(tmp_path):
    assert finished_rows(tmp_path / "none.csv", NAMES, "m") == []


@pytest.mark.parametrize("name", ["with\nline break.nii", 'caf\udce9,"b".nii'])
def test_wherever_writing_was_cut_off_only_whole_rows_are_kept(name, tmp_path):
    rows = [replace(ROW, scan=name, reason="of\ntwo lines"), ROWS[1]]
    path, whole = tmp_path / "cut.csv", tmp_path / "whole.csv"
    with PredictionTable(whole, 2) as writer:
        writer.add(0, rows[0])
        writer.add(1, rows[1])
    content = whole.read_bytes()
    expected = finished_rows(whole, [name, "b.nii"], "m")
    assert [row[0] for row in expected] == [name, "b.nii"]
    first_end = content.index(b"\nb.nii")
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert finished_rows(path, [name, "b.nii"], "m") == expected[: length > first_end], length


def test_kept_rows_stand_before_the_new_ones(table):
    kept = finished_rows(table, NAMES, "m")[:2]
    with PredictionTable(table, 3, kept) as writer:
        writer.add(2, replace(ROWS[2], status="failed"))
    rows = read(table)[1:]
    assert rows[:2] == kept
    assert rows[2][COLUMNS.index("status")] == "failed"


@pytest.mark.parametrize(
    ("names", "model", "text", "message"),
    [
        (["x.nii", *NAMES], "m", None, "its rows are of other scans"),
        (NAMES[:2], "m", None, "its rows are of other scans"),
        (NAMES, "other", None, "its rows are of another model"),
        (NAMES, "m", "subject,age\na,40\n", "it has other columns"),
        (NAMES, "m", ",".join(COLUMNS) + "\na.nii\nb.nii,b\n", "it has rows of other columns"),
        (NAMES, "m", "x" * 200_000 + "\n", "it is no table"),
    ],
)
def test_another_table_is_not_resumed(names, model, text, message, table):
    if text is not None:
        table.write_text(text)
    before = table.read_bytes()
    with pytest.raises(RunFolderError, match=f"table.csv: cannot be resumed: {message}"):
        finished_rows(table, names, model)
    assert table.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "table.csv", tmp_path / "folder"):
        with pytest.raises(RunFolderError, match=rf"{path.name}: cannot write: "):
            PredictionTable(path, 1)
    with pytest.raises(RunFolderError, match="folder: cannot read: Is a directory"):
        finished_rows(tmp_path / "folder", NAMES, "m")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
