from pathlib import Path

import pytest

from brainage.tracking.config import TrackingConfig
from brainage.tracking.jsonl import read_events
from brainage.tracking.recorders import open_recorders

OFF = TrackingConfig(mlflow=False, uri="http://me:secret@server:5000")


def record(folder: Path, **tags):
    opened = open_recorders(OFF, folder, run_name="mine", tags=tags, working_folder=folder)
    opened.recorder.close("finished")
    return [event.fields for event in read_events(folder / "events.jsonl") if event.kind == "run"]


def test_a_record_begins_with_all_that_mlflow_has_to_be_told(tmp_path):
    (about,) = record(tmp_path, objective="bp", fold=None)
    assert len(about.pop("uuid")) == 32
    assert about == {
        "name": "mine",
        "folder": str(tmp_path),
        "resolved_folder": str(tmp_path.resolve()),
        "experiment": "brainage",
        "uri": "http://server:5000",
        "upload_predictions": False,
        "parent_uuid": None,
        "tag.objective": "bp",
        "tag.fold": None,
    }


def test_a_resumed_run_stays_itself_and_another_is_another(tmp_path):
    first = record(tmp_path / "a")
    assert [about["uuid"] for about in record(tmp_path / "a")] == [first[0]["uuid"]] * 2
    assert record(tmp_path / "b")[0]["uuid"] != first[0]["uuid"]


@pytest.mark.parametrize("place", ["parts/fold1", "arms/bp-seed1"])
def test_a_record_in_a_run_s_folder_is_below_that_run(tmp_path, place):
    (above,) = record(tmp_path)
    (below,) = record(tmp_path / place)
    assert below["parent_uuid"] == above["uuid"]
