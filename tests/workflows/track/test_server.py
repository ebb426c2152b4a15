"""Against a real ``mlflow server``, which takes seconds to start; and against none."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainage.bundle.load import load_bundle
from brainage.config.load import dump_config
from brainage.tracking.mlflow_api import MlflowClient
from brainage.workflows.model_source import model_folder
from brainage.workflows.track.register import register_run
from brainage.workflows.track.sync import sync_runs
from brainage.workflows.train.run import train
from tests.tracking.servers import running_server
from tests.workflows.tiny import tiny_config

pytestmark = [pytest.mark.slow, pytest.mark.distributed]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def tracked(cohort, uri: str, **sections):
    return tiny_config(cohort, tracking={"mlflow": True, "uri": uri}, **sections)


@pytest.fixture(scope="module")
def live(server, cohort, tmp_path_factory):
    """A run recorded by the server while it trained."""
    config = tracked(cohort, server.uri, data={"unseen": str(cohort.unseen)})
    return train(config, runs_folder=tmp_path_factory.mktemp("live"), resume=None)


def test_a_server_holds_runs_parameters_metrics_data_files_and_the_model(server, live):
    client = MlflowClient(server.uri)
    run = client.get_run(live.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["trainer.epochs"] == "2"
    assert run.data.metrics["test/mae_years"] == pytest.approx(live.test["mae_years"])
    assert len(run.inputs.dataset_inputs) == 3
    names = {entry.path for entry in client.list_artifacts(live.mlflow_run_id)}
    assert {"report.html", "metrics.json", "config.yaml", "figures"} <= names
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert str(model.status) == "READY"
    assert not any(sync_runs([live.run_dir]).rows[0].sent.values())


def test_a_champion_of_the_server_predicts_with_the_weights_that_were_trained(
    server, live, monkeypatch
):
    summary = register_run(live.run_dir, name="brainage", alias="champion", uri=server.uri)
    assert (summary.version, summary.is_new) == ("1", True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with model_folder("models:/brainage@champion") as folder:
        assert load_bundle(folder).model_hash == load_bundle(live.model_dir).model_hash
    info = MlflowClient(server.uri).get_model_version_by_alias("brainage", "champion")
    assert info.tags["objective"] == "lfnn_l"


TRAIN = """
import json, sys, time
from pathlib import Path

from brainage.config.load import load_config
from brainage.core import trainer
from brainage.tracking.mlflow_recorder import MlflowRecorder
from brainage.workflows.train.run import train

spent = 0.0

def timed(name):
    original = getattr(MlflowRecorder, name)
    def call(*args, **kwargs):
        global spent
        began = time.monotonic()
        original(*args, **kwargs)
        spent += time.monotonic() - began
    setattr(MlflowRecorder, name, call)

for name in ("__init__", "parameters", "metrics", "event", "artifact", "close"):
    timed(name)
fit = trainer.Trainer.fit

def slow_fit(self):
    original = self.recorder.metrics
    def metrics(values, step):
        original(values, step=step)
        print(step, flush=True)
        time.sleep(0.5)
    self.recorder.metrics = metrics
    return fit(self)

trainer.Trainer.fit = slow_fit
summary = train(load_config(Path(sys.argv[1])), runs_folder=Path(sys.argv[2]), resume=None)
print(json.dumps([str(summary.run_dir), spent]), flush=True)
"""


def start_training(config, folder: Path) -> subprocess.Popen[str]:
    """A run in a process of its own that prints each epoch.

    Its last line is a list of the run's folder and the seconds that MLflow kept it waiting.
    """
    (folder / "config.yaml").write_text(dump_config(config))
    environment = {key: value for key, value in os.environ.items() if "MLFLOW_HTTP" not in key}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(folder / "config.yaml"), str(folder / "runs")],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_a_server_killed_in_mid_run_costs_nothing_that_a_sync_does_not_bring(cohort, tmp_path):
    with running_server(tmp_path / "server") as server:
        config = tracked(cohort, server.uri, trainer={"epochs": 8})
        process = start_training(config, tmp_path)
        assert [process.stdout.readline().strip() for _ in range(3)] == ["1", "2", "3"]
        server.kill()
        *_, last = process.communicate(timeout=120)[0].splitlines()
        assert process.returncode == 0
        folder = Path(json.loads(last)[0])
        assert (folder / "model" / "weights.safetensors").is_file()
        server.start()
        (half,) = MlflowClient(server.uri).search_runs(["1"])
        assert half.info.status == "RUNNING"
        seen = MlflowClient(server.uri).get_metric_history(half.info.run_id, "train/loss")
        assert 3 <= len(seen) < 8
        (row,) = sync_runs([folder]).rows
        assert row.mlflow_run_ids == [half.info.run_id]
        client = MlflowClient(server.uri)
        whole = client.get_metric_history(half.info.run_id, "train/loss")
        assert sorted(entry.step for entry in whole) == list(range(1, 9))
        assert client.get_run(half.info.run_id).info.status == "FINISHED"
        assert not any(sync_runs([folder]).rows[0].sent.values())


def waited_seconds(process: subprocess.Popen[str]) -> float:
    """What MLflow cost a run: while it went on, and while the process ended."""
    with process:
        *_, last = [line for line in process.stdout if line.strip()]
        told = time.monotonic()
        assert process.wait(timeout=120) == 0
    seconds: float = json.loads(last)[1] + time.monotonic() - told
    print(f"MLflow kept the run waiting for {seconds:.1f} s")
    return seconds


def test_a_server_that_never_answers_costs_less_than_half_a_minute(cohort, tmp_path):
    """With the timeouts that a user has."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start_training(tracked(cohort, uri), tmp_path)
        assert waited_seconds(process) < 30


def test_a_server_that_freezes_in_mid_run_costs_less_than_half_a_minute(cohort, tmp_path):
    with running_server(tmp_path / "server") as server:
        process = start_training(tracked(cohort, server.uri, trainer={"epochs": 4}), tmp_path)
        assert process.stdout.readline().strip() == "1"
        server.freeze()
        assert waited_seconds(process) < 30
