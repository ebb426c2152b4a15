import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.errors import RunFolderError
from brainage.tracking.jsonl import JsonlRecorder, read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "events.jsonl"


def kinds(path: Path) -> list[str]:
    return [event.kind for event in read_events(path)]


def test_every_call_is_read_back_in_order(path):
    recorder = JsonlRecorder(path)
    recorder.parameters({"trainer.epochs": 3, "data.root": None})
    recorder.event("stage_started", stage="préprocess")
    recorder.metrics({"train/loss": 0.25}, step=7)
    recorder.artifact(Path("report.html"), "report")
    recorder.close("finished")
    assert [(event.kind, event.fields) for event in read_events(path)] == [
        ("parameters", {"trainer.epochs": 3, "data.root": None}),
        ("stage_started", {"stage": "préprocess"}),
        ("metrics", {"step": 7, "values": {"train/loss": 0.25}}),
        ("artifact", {"path": "report.html", "folder": "report"}),
        ("closed", {"status": "finished"}),
    ]


def test_times_are_utc_and_now(path):
    before = datetime.now(UTC)
    JsonlRecorder(path).event("x")
    (event,) = read_events(path)
    assert event.time.utcoffset().total_seconds() == 0
    assert abs((event.time - before).total_seconds()) < 10


def test_a_line_is_on_disk_before_the_next_call(path):
    recorder = JsonlRecorder(path)
    recorder.event("first")
    assert kinds(path) == ["first"]
    recorder.close("failed")


def test_a_resumed_run_appends(path):
    for status in ("killed", "finished"):
        JsonlRecorder(path).close(status)
    assert [event.fields["status"] for event in read_events(path)] == ["killed", "finished"]


@given(cut=st.integers(min_value=1, max_value=80))
def test_a_line_torn_anywhere_costs_only_itself(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "events.jsonl"
    recorder = JsonlRecorder(path)
    recorder.event("kept")
    size = path.stat().st_size
    recorder.event("torn", place="Zürich", padding="x" * 60)
    path.write_bytes(path.read_bytes()[: size + cut])
    JsonlRecorder(path).event("after")
    assert kinds(path) == ["kept", "after"]


def test_a_torn_line_is_counted_in_a_warning(path, caplog):
    JsonlRecorder(path).event("kept")
    with path.open("ab") as file:
        file.write(b'{"time": "2026-')
    read_events(path)
    assert "1 torn line" in caplog.text


def test_lines_are_valid_json_even_for_what_json_lacks(path):
    recorder = JsonlRecorder(path)
    recorder.metrics({"train/loss": math.nan, "val/loss": -math.inf}, step=1)

    def refuse(name):
        raise AssertionError(name)

    (line,) = path.read_text().splitlines()
    json.loads(line, parse_constant=refuse)
    values = read_events(path)[0].fields["values"]
    assert math.isnan(float(values["train/loss"]))
    assert float(values["val/loss"]) == -math.inf


def test_a_folder_that_cannot_be_written_is_the_users_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        JsonlRecorder(tmp_path / "file" / "events.jsonl")


def test_a_missing_record_is_the_users_error(tmp_path):
    with pytest.raises(RunFolderError, match=r"events\.jsonl: cannot be read"):
        read_events(tmp_path / "events.jsonl")


def test_an_event_cannot_pass_for_a_record_of_metrics(path):
    with pytest.raises(AssertionError, match="metrics"):
        JsonlRecorder(path).event("metrics")


def test_closing_twice_records_the_first_status_only(path):
    recorder = JsonlRecorder(path)
    recorder.close("failed")
    recorder.close("finished")
    assert [event.fields for event in read_events(path)] == [{"status": "failed"}]
