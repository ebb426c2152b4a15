import json
import math
import socket
import sqlite3
from pathlib import Path

import pytest

from brainage.errors import TrackingError
from brainage.tracking.config import TrackingConfig
from brainage.tracking.jsonl import JsonlRecorder, read_events
from brainage.tracking.mlflow_api import MlflowClient
from brainage.tracking.mlflow_sync import Record, sync_record
from brainage.tracking.recorders import open_recorders
from tests.tracking.stores import new_store

MODEL = {"folder": "model", "name": "m", "loader": "a:b", "model_hash": "c0ffee", "step": 2}
OFF = TrackingConfig(mlflow=False)


@pytest.fixture
def uri(tmp_path):
    return new_store(tmp_path / "store")


def tell(recorder, folder: Path) -> None:
    """What a run of two epochs tells its recorders."""
    recorder.parameters({"seed": 0, "data.manifest": "/lab/anna/cohort.csv"})
    recorder.event("dataset", name="cohort", digest="d1", context="train", scans=6)
    for step in (1, 2):
        recorder.metrics({"val/mae_years": 10.0 / step, "train/loss": math.nan}, step)
    recorder.metrics({"test/mae_years": 4.5, "test/r2": -math.inf}, 2)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights").write_bytes(b"w")
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "a.svg").write_text("<svg/>")
    (folder / "report.html").write_text("<p>/lab/anna/cohort.csv</p>")
    (folder / "held_out_predictions.csv").write_text("scan\n/lab/anna/a.nii\n")
    for name in ("report.html", "figures", "held_out_predictions.csv"):
        recorder.artifact(folder / name)
    recorder.event("model", **MODEL)


def recorded(folder: Path, config=OFF, name="mine", until_closed=True) -> Record:
    opened = open_recorders(
        config, folder, run_name=name, tags={"objective": "bp"}, working_folder=folder
    )
    tell(opened.recorder, folder)
    if until_closed:
        opened.recorder.close("finished")
    return read(folder)


def read(folder: Path) -> Record:
    return Record(folder, tuple(read_events(folder / "events.jsonl")))


def rows_of(uri: str) -> dict[str, int]:
    """Rows of every table of the store."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as base:
        names = [
            row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {name: base.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def files_of(uri: str) -> list[str]:
    root = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_record_without_mlflow_becomes_a_whole_run(tmp_path, uri):
    record = recorded(tmp_path / "run")
    sent = sync_record(record, uri)
    client = MlflowClient(uri)
    run = client.get_run(sent.run_id)
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert run.data.params == {"seed": "0", "data.manifest": "cohort.csv"}
    assert run.data.tags["objective"] == "bp"
    assert run.data.metrics["val/mae_years"] == 5.0
    assert math.isnan(run.data.metrics["train/loss"])
    assert [entry.dataset.digest for entry in run.inputs.dataset_inputs] == ["d1"]
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert {metric.key for metric in model.metrics} == {"test/mae_years", "test/r2"}
    assert {"report.html", "a.svg", "weights"} <= set(files_of(uri))


def test_times_are_those_of_the_run(tmp_path, uri):
    record = recorded(tmp_path / "run")
    run_id = sync_record(record, uri).run_id
    client = MlflowClient(uri)
    info = client.get_run(run_id).info
    milliseconds = [round(event.time.timestamp() * 1000) for event in record.events]
    assert (info.start_time, info.end_time) == (milliseconds[0], milliseconds[-1])
    told = [
        round(event.time.timestamp() * 1000)
        for event in record.events
        if "val/mae_years" in event.fields.get("values", {})
    ]
    history = client.get_metric_history(run_id, "val/mae_years")
    assert [(entry.step, entry.timestamp) for entry in history] == list(enumerate(told, start=1))


def test_a_second_sync_adds_nothing(tmp_path, uri):
    record = recorded(tmp_path / "run")
    assert sync_record(record, uri).anything
    rows, files = rows_of(uri), files_of(uri)
    again = sync_record(record, uri)
    assert not again.anything
    assert (rows_of(uri), files_of(uri)) == (rows, files)


def test_a_run_that_was_recorded_live_lacks_nothing(tmp_path, uri):
    config = TrackingConfig(uri=uri, system_metrics=False)
    record = recorded(tmp_path / "run", config)
    assert not sync_record(record, uri).anything


@pytest.mark.parametrize("lost_after", ["parameters", "metrics", "artifact"])
def test_a_half_logged_run_is_completed_as_itself(tmp_path, uri, lost_after, monkeypatch):
    """The store fails behind one kind of call; MLflow's record stops there."""
    from brainage.tracking import mlflow_recorder as module

    original = getattr(module.MlflowRecorder, lost_after)

    def fail_behind(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self._turn_off("died")

    monkeypatch.setattr(module.MlflowRecorder, lost_after, fail_behind)
    config = TrackingConfig(uri=uri, system_metrics=False)
    record = recorded(tmp_path / "run", config)
    monkeypatch.undo()
    client = MlflowClient(uri)
    (half,) = client.search_runs(["1"])
    assert half.info.status == "RUNNING"
    sent = sync_record(record, uri)
    assert sent.run_id == half.info.run_id
    run = client.get_run(sent.run_id)
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(sent.run_id, "val/mae_years")) == 2
    assert len(run.outputs.model_outputs) == 1
    assert "a.svg" in files_of(uri)
    assert len(client.search_runs(["1"])) == 1
    assert not sync_record(record, uri).anything


def test_an_interrupted_upload_of_the_model_leaves_no_second_model(tmp_path, uri):
    record = recorded(tmp_path / "run")
    sent = sync_record(record, uri)
    client = MlflowClient(uri)
    client.create_logged_model(
        "1", name="m", source_run_id=sent.run_id, tags={"model_hash": "c0ffee"}
    )
    sync_record(record, uri)
    models = client.search_logged_models(["1"])
    assert [str(model.status) for model in models] == ["READY"]


def test_a_run_that_was_killed_ends_as_killed_at_its_last_event(tmp_path, uri):
    record = recorded(tmp_path / "run", until_closed=False)
    info = MlflowClient(uri).get_run(sync_record(record, uri).run_id).info
    assert info.status == "KILLED"
    assert info.end_time == round(record.events[-1].time.timestamp() * 1000)


def test_parts_are_shown_below_their_run(tmp_path, uri):
    above = recorded(tmp_path / "run")
    below = recorded(tmp_path / "run" / "parts" / "fold1", name="mine-fold1")
    parent, child = sync_record(above, uri), sync_record(below, uri)
    run = MlflowClient(uri).get_run(child.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id


def test_a_run_that_was_deleted_there_is_made_again(tmp_path, uri):
    record = recorded(tmp_path / "run", TrackingConfig(uri=uri, system_metrics=False))
    first = sync_record(record, uri).run_id
    assert first == record.last("mlflow")["run_id"]
    MlflowClient(uri).delete_run(first)
    assert sync_record(record, uri).run_id != first


def test_a_result_that_was_removed_since_is_named_and_the_rest_is_sent(tmp_path, uri, caplog):
    record = recorded(tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    sync_record(record, uri)
    assert "report.html: no longer there" in caplog.text
    assert "a.svg" in files_of(uri)


def test_a_folder_that_was_moved_is_sent_from_where_it_is(tmp_path, uri):
    recorded(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    sync_record(read(tmp_path / "moved"), uri)
    assert "report.html" in files_of(uri)


def test_nobody_is_named_in_what_was_sent(tmp_path, uri):
    sync_record(recorded(tmp_path / "run"), uri)
    store = Path(uri.removeprefix("sqlite:///"))
    sent = [path for path in store.parent.rglob("*") if path.is_file()]
    assert "held_out_predictions.csv" not in [path.name for path in sent]
    assert [path for path in sent if b"anna" in path.read_bytes()] == []


def test_a_line_that_was_torn_costs_that_line_only(tmp_path, uri):
    recorded(tmp_path / "run")
    with (tmp_path / "run" / "events.jsonl").open("a") as stream:
        stream.write(json.dumps({"time": "2026"})[:10] + "\n")
    assert sync_record(read(tmp_path / "run"), uri).anything


def test_a_server_that_is_down_is_one_line_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    record = recorded(tmp_path / "run")
    with pytest.raises(TrackingError, match=r"http://127\S* does not answer; sync again") as error:
        sync_record(record, f"http://me:secret@127.0.0.1:{port}")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_an_epoch_that_was_done_again_is_sent_once(tmp_path, uri):
    recorded(tmp_path / "run")
    again = JsonlRecorder(tmp_path / "run" / "events.jsonl")
    again.metrics({"val/mae_years": 5.0}, 2)
    again.close("finished")
    run_id = sync_record(read(tmp_path / "run"), uri).run_id
    history = MlflowClient(uri).get_metric_history(run_id, "val/mae_years")
    assert [entry.value for entry in history] == [10.0, 5.0]
