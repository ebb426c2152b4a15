import json
import logging
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pandas as pd
import pytest

from brainage.tracking.config import TrackingConfig
from brainage.tracking.jsonl import read_events
from brainage.tracking.mlflow_recorder import MlflowRecorder
from brainage.tracking.recorders import open_recorders

TAGS = {"objective": "lfnn_l", "num_blocks": 4}
FIRST_RUN = """
import logging, sys
from pathlib import Path

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="ours: %(message)s")
from brainage.tracking.config import TrackingConfig
from brainage.tracking.jsonl import read_events
from brainage.tracking.mlflow_recorder import MlflowRecorder

folder = Path.cwd()
(folder / "model").mkdir()
(folder / "model" / "weights").touch()
recorder = MlflowRecorder(
    TrackingConfig(), run_name="first", tags={}, folder=folder, run_folder=folder, uuid="0a"
)
recorder.parameters({"seed": 0})
recorder.metrics({"train/loss": 1.0}, 1)
recorder.event("model", folder="model", name="model", loader="a:b", model_hash="h", step=1)
recorder.close("finished")
assert recorder.off_because is None, recorder.off_because
logging.info("still here")
"""


class FirstRun(NamedTuple):
    """A working folder with a store, and what its first run wrote to the terminal."""

    folder: Path
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> FirstRun:
    """Done once, in its own process: the store's tables take seconds."""
    folder = tmp_path_factory.mktemp("store")
    environment = {key: value for key, value in os.environ.items() if "MLFLOW" not in key}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST_RUN],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return FirstRun(folder, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def store(first_run) -> Path:
    return first_run.folder


@pytest.fixture(autouse=True)
def no_store_from_outside(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def recorder(store):
    recorder = start(store)
    yield recorder
    recorder.close("finished")


def start(store: Path, **options) -> MlflowRecorder:
    config = TrackingConfig(system_metrics=options.pop("system_metrics", False))
    given = {"run_folder": store, "uuid": uuid4().hex} | options
    return MlflowRecorder(config, run_name="try", tags=TAGS, folder=store, **given)


def run_of(recorder: MlflowRecorder):
    from mlflow import MlflowClient

    assert recorder.off_because is None
    return MlflowClient(recorder.uri).get_run(recorder.run_id)


def test_a_run_has_its_name_experiment_and_tags(recorder, store):
    from mlflow import MlflowClient

    run = run_of(recorder)
    assert run.info.run_name == "try"
    assert run.data.tags["objective"] == "lfnn_l"
    assert run.data.tags["num_blocks"] == "4"
    experiment = MlflowClient(recorder.uri).get_experiment(run.info.experiment_id)
    assert experiment.name == "brainage"
    assert experiment.artifact_location == (store / "mlartifacts").as_uri()


def test_parameters_beyond_one_batch_and_too_long_ones_arrive(recorder):
    values = {f"part.key{number}": number for number in range(250)}
    recorder.parameters({**values, "long": "x" * 9000, "none": None, "on": True, "odd key!": 1})
    params = run_of(recorder).data.params
    assert params["part.key249"] == "249"
    assert params["long"] == "x" * 6000
    assert (params["none"], params["on"], params["odd key_"]) == ("null", "true", "1")


def test_metrics_keep_their_steps(recorder):
    from mlflow import MlflowClient

    for step in (1, 2):
        recorder.metrics({"val/mae_years": 10.0 / step, "train/loss": math.nan}, step)
    history = MlflowClient(recorder.uri).get_metric_history(recorder.run_id, "val/mae_years")
    assert [(entry.step, entry.value) for entry in history] == [(1, 10.0), (2, 5.0)]
    assert math.isnan(run_of(recorder).data.metrics["train/loss"])


@pytest.mark.parametrize(
    ("status", "shown"), [("finished", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED")]
)
def test_the_end_of_a_run_is_its_status(store, status, shown):
    recorder = start(store)
    assert run_of(recorder).info.status == "RUNNING"
    recorder.close(status)
    recorder.close("finished")
    assert run_of(recorder).info.status == shown


def test_a_resumed_run_goes_on_as_itself_even_with_a_changed_setting(store):
    first = start(store)
    first.parameters({"trainer.epochs": 3, "seed": 0})
    first.close("killed")
    second = start(store, run_id=first.run_id, uuid=run_of(first).data.tags["brainage.uuid"])
    assert run_of(second).info.status == "RUNNING"
    second.parameters({"trainer.epochs": 5, "seed": 0, "new": 1})
    run = run_of(second)
    assert second.run_id == first.run_id
    assert run.data.params == {"trainer.epochs": "3", "seed": "0", "new": "1"}
    assert run.data.tags["resumed.trainer.epochs"] == "5"
    assert "resumed.seed" not in run.data.tags
    second.close("finished")


def test_a_child_run_is_shown_below_its_parent(store):
    parent = start(store)
    child = start(store, parent_run_id=parent.run_id)
    assert run_of(child).data.tags["mlflow.parentRunId"] == parent.run_id
    child.close("finished")
    parent.close("finished")


def test_files_and_folders_become_artifacts(recorder, store, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("<svg/>")
    (tmp_path / "report.html").write_text("page")
    recorder.artifact(tmp_path / "report.html")
    recorder.artifact(tmp_path / "figures", "report")
    root = store / "mlartifacts" / recorder.run_id / "artifacts"
    assert (root / "report.html").read_text() == "page"
    assert (root / "report" / "figures" / "a.svg").is_file()


def test_system_metrics_are_sampled_while_the_run_lasts(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    recorder = start(store, system_metrics=True)
    deadline = time.monotonic() + 20
    while "system/cpu_utilization_percentage" not in run_of(recorder).data.metrics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    recorder.close("finished")


def test_a_run_that_another_store_recorded_begins_anew(store):
    recorder = start(store, run_id="0" * 32)
    assert run_of(recorder).info.run_id != "0" * 32
    recorder.close("finished")


def test_a_resumed_run_is_found_by_its_own_uuid(store):
    first = start(store, uuid="feed")
    first.close("killed")
    second = start(store, uuid="feed")
    assert second.run_id == first.run_id
    second.close("finished")


def log_constant_model(recorder, folder, **changes):
    from mlflow import MlflowClient

    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "age.txt").write_text("40")
    recorder.metrics({"test/mae_years": 4.5, "train/loss": 1.0}, 3)
    fields = {
        "folder": str(bundle),
        "name": "brain-age",
        "loader": "tests.tracking.loaders:load_constant",
        "model_hash": "c0ffee",
        "step": 3,
    }
    recorder.event("model", **(fields | changes))
    (output,) = run_of(recorder).outputs.model_outputs
    return MlflowClient(recorder.uri).get_logged_model(output.model_id)


def test_a_model_folder_becomes_a_model_that_predicts_rows(recorder, tmp_path):
    from mlflow import pyfunc

    model = log_constant_model(recorder, tmp_path)
    assert str(model.status) == "READY"
    assert {metric.key: metric.value for metric in model.metrics} == {"test/mae_years": 4.5}
    loaded = pyfunc.load_model(model.artifact_location)
    rows = loaded.predict(pd.DataFrame({"scan": ["/scans/ab.nii", "c.png"]}))
    assert rows["predicted_age"].iloc[0] == 42.0
    assert rows["predicted_age"].iloc[1] is None
    assert list(rows["status"]) == ["ok", "failed"]
    assert list(rows["reason"]) == [None, "no scan"]


def test_a_model_says_what_goes_in_and_comes_out_and_has_nobody_s_scan_as_example(
    recorder, tmp_path
):
    from mlflow import models

    from brainage.workflows.predict import row, serving

    folder = log_constant_model(recorder, tmp_path).artifact_location.removeprefix("file://")
    model = models.Model.load(folder)
    assert model.signature.inputs.input_names() == list(serving.COLUMNS)
    assert model.signature.outputs.input_names() == list(row.COLUMNS)
    example = model.load_input_example(folder)
    assert example.to_dict("list") == {"scan": ["sub-01/anat/sub-01_T1w.nii.gz"]}


def test_a_loader_that_is_no_path_to_a_function_is_named(recorder, tmp_path):
    from mlflow import pyfunc

    model = log_constant_model(recorder, tmp_path, loader="no function")
    with pytest.raises(ValueError, match=r"expected package\.module:function, got 'no function'"):
        pyfunc.load_model(model.artifact_location)


def test_data_are_counted_and_named_by_their_digest(recorder):
    recorder.event("dataset", name="mylab", digest="d1", context="train", scans=6, subjects=5)
    recorder.event("dataset", name="mylab", digest="d2", context="test", scans=2, subjects=2)
    inputs = run_of(recorder).inputs.dataset_inputs
    found = {
        entry.dataset.digest: (entry.tags[0].value, json.loads(entry.dataset.profile)["num_rows"])
        for entry in inputs
    }
    assert found == {"d1": ("train", 6), "d2": ("test", 2)}


def silent_server() -> socket.socket:
    """A port that accepts connections and never answers."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(16)
    return server


@pytest.mark.parametrize("kind", ["silent server", "closed port", "no such folder"])
def test_a_dead_store_neither_raises_nor_stalls_and_keeps_the_events(
    kind, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with silent_server() as server:
        uri = {
            "silent server": f"http://me:secret@127.0.0.1:{server.getsockname()[1]}",
            "closed port": "http://127.0.0.1:9",
            "no such folder": "sqlite:////proc/none/mlflow.db",
        }[kind]
        began = time.monotonic()
        record = open_recorders(
            TrackingConfig(uri=uri),
            tmp_path,
            run_name="try",
            tags=TAGS,
            working_folder=tmp_path,
        )
        for step in range(100):
            record.recorder.metrics({"train/loss": 1.0}, step)
        record.recorder.close("finished")
    assert time.monotonic() - began < 15
    assert record.mlflow_run_id is None
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "MLflow is turned off for this run: MLflow at" in warnings[0]
    assert "incomplete" in warnings[1]
    assert "secret" not in caplog.text
    kinds = [event.kind for event in read_events(tmp_path / "events.jsonl")]
    assert kinds == ["run", *["metrics"] * 100, "closed"]


def test_a_server_that_does_not_answer_costs_its_time_once_not_once_a_part(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with silent_server() as server:
        config = TrackingConfig(uri=f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        for part in range(6):
            record = open_recorders(
                config,
                tmp_path / str(part),
                run_name="try",
                tags=TAGS,
                working_folder=tmp_path,
            )
            assert record.mlflow.off_because is not None
            record.recorder.close("finished")
    assert time.monotonic() - began < 4


def test_a_store_that_answers_too_slowly_is_given_up(store, monkeypatch):
    monkeypatch.setattr("brainage.tracking.mlflow_recorder.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("brainage.tracking.mlflow_recorder._unreachable", {})
    recorder = start(store)
    assert "is too slow: it took" in recorder.off_because


def test_a_store_that_dies_during_the_run_turns_the_recorder_off(tmp_path, store, caplog):
    recorder = start(store)
    recorder.artifact(tmp_path / "missing.html")
    assert "could not upload" in recorder.off_because
    recorder.metrics({"train/loss": 1.0}, 1)
    recorder.close("finished")
    turned_off = [entry for entry in caplog.records if "turned off" in entry.getMessage()]
    assert len(turned_off) == 1


def test_without_mlflow_nothing_of_it_is_imported(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from brainage.tracking.config import TrackingConfig\n"
        "from brainage.tracking.recorders import open_recorders\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "record = open_recorders(TrackingConfig(mlflow=False), folder, run_name='x', tags={},"
        " working_folder=folder)\n"
        "record.recorder.close('finished')\n"
        "assert record.mlflow_run_id is None\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
    assert (tmp_path / "events.jsonl").is_file()


def test_a_run_writes_nothing_to_the_terminal_and_the_application_keeps_its_log(first_run):
    assert first_run.stderr == ""
    assert first_run.stdout == "ours: still here\n"


def test_telemetry_is_off_in_the_process_of_a_run():
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
    assert logging.getLogger("mlflow").level >= logging.WARNING
