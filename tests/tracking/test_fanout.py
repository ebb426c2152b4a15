from pathlib import Path

import pytest

from brainage.tracking.fanout import FanoutRecorder
from brainage.tracking.jsonl import JsonlRecorder, read_events


def report_everything(recorder) -> None:
    recorder.parameters({"seed": 0})
    recorder.metrics({"train/loss": 1.0}, 1)
    recorder.event("checkpoint", epoch=1)
    recorder.artifact(Path("report.html"), "report")
    recorder.close("finished")


def record(path: Path) -> list:
    return [(event.kind, event.fields) for event in read_events(path)]


def test_every_recorder_receives_what_a_single_one_would(tmp_path):
    report_everything(JsonlRecorder(tmp_path / "alone"))
    names = ["first", "second"]
    report_everything(FanoutRecorder([JsonlRecorder(tmp_path / name) for name in names]))
    for name in names:
        assert record(tmp_path / name) == record(tmp_path / "alone")


def test_one_that_fails_hides_nothing_from_the_others(tmp_path):
    closed, healthy = JsonlRecorder(tmp_path / "closed"), JsonlRecorder(tmp_path / "healthy")
    closed.close("finished")
    with pytest.raises(AssertionError, match="the record is closed"):
        FanoutRecorder([closed, healthy]).event("checkpoint", epoch=1)
    assert record(tmp_path / "healthy") == [("checkpoint", {"epoch": 1})]
