import shutil
import socket
from pathlib import Path

import pytest

from brainage.cli import run
from brainage.errors import RunFolderError, TrackingError
from brainage.tracking.mlflow_api import MlflowClient
from brainage.workflows.track.register import register_run
from brainage.workflows.track.sync import sync_runs
from brainage.workflows.train.run import train
from brainage.workflows.train.run_folder import RunFolder
from tests.tracking.stores import new_store
from tests.workflows.tiny import COLUMNS, read_table, tiny_config, write_table

ONE_EPOCH = {"epochs": 1}
NAME = "Mustermann"


@pytest.fixture
def uri(tmp_path):
    return new_store(tmp_path / "store")


def runs_in(uri: str) -> dict:
    return {entry.info.run_name: entry for entry in MlflowClient(uri).search_runs(["1"])}


def test_a_run_without_mlflow_can_be_sent_later(holdout, uri):
    (row,) = sync_runs([holdout.folder], uri=uri).rows
    assert row.status == "synced"
    assert (row.sent["runs"], row.sent["models"], row.sent["datasets"]) == (1, 1, 3)
    shown = runs_in(uri)["tiny"]
    assert shown.info.status == "FINISHED"
    assert shown.data.metrics["test/mae_years"] == holdout.summary.test["mae_years"]
    contexts = {entry.tags[0].value for entry in shown.inputs.dataset_inputs}
    assert contexts == {"train", "validation", "test"}
    assert {entry.dataset.name for entry in shown.inputs.dataset_inputs} == {"manifest"}
    (again,) = sync_runs([holdout.folder], uri=uri).rows
    assert not any(again.sent.values())
    assert again.describe().endswith("nothing was missing")


def test_tags_let_the_ui_filter(holdout, uri):
    sync_runs([holdout.folder], uri=uri)
    client = MlflowClient(uri)
    wanted = "tags.objective = 'lfnn_l' AND tags.num_blocks = '3' AND tags.leader_fraction = '0.5'"
    wanted += " AND tags.backbone = 'cnn3d' AND tags.seed = '18'"
    assert len(client.search_runs(["1"], wanted)) == 1
    assert client.search_runs(["1"], "tags.objective = 'bp'") == []


@pytest.mark.slow
def test_folds_are_sent_below_their_run(cohort, tmp_path, uri):
    config = tiny_config(
        cohort,
        split={"folds": 2},
        trainer=ONE_EPOCH,
        objective={"name": "bp"},
    )
    folder = train(config, runs_folder=tmp_path / "runs", resume=None).run_dir
    sync_runs([folder], uri=uri)
    shown = runs_in(uri)
    assert set(shown) == {"tiny", "tiny-fold1", "tiny-fold2", "tiny-final"}
    parent = shown.pop("tiny").info.run_id
    assert {entry.data.tags["mlflow.parentRunId"] for entry in shown.values()} == {parent}
    assert shown["tiny-fold2"].data.tags["fold"] == "2"
    assert "leader_fraction" not in shown["tiny-fold2"].data.tags


def test_a_run_that_is_going_on_is_skipped_and_the_others_are_sent(holdout, tmp_path, uri):
    shutil.copytree(holdout.folder, tmp_path / "going")
    held = RunFolder(tmp_path / "going")
    (tmp_path / "notes").mkdir()
    summary = sync_runs([tmp_path / "going", tmp_path / "notes", holdout.folder], uri=uri)
    held.close()
    assert [row.status for row in summary.rows] == ["skipped", "skipped", "synced"]
    assert summary.rows[0].reason == "another process is using this run"
    assert "no run to send" in summary.rows[1].reason
    assert summary.exit_code == 1


def test_what_is_no_run_is_refused_in_one_line(tmp_path, uri, capsys):
    with pytest.raises(RunFolderError, match=r"no run to send: events\.jsonl is not there"):
        sync_runs([tmp_path], uri=uri)
    assert run(["track", "register", str(tmp_path), "--uri", uri]) == 2
    assert "no run to send" in capsys.readouterr().err


def test_a_run_without_a_model_is_not_registered(holdout, tmp_path, uri):
    shutil.copytree(holdout.folder, tmp_path / "copy")
    events = tmp_path / "copy" / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(line for line in lines if '"kind": "model"' not in line))
    with pytest.raises(RunFolderError, match="no model to register"):
        register_run(tmp_path / "copy", name="brainage", alias=None, uri=uri)


def test_the_command_line_sends_and_says_what(holdout, uri, capsys):
    assert run(["track", "sync", str(holdout.folder), "--uri", uri]) == 0
    out = capsys.readouterr().out
    assert f"{holdout.folder}: sent 1 run" in out
    assert f"store: {uri}" in out
    assert run(["track", "register", str(holdout.folder), "--alias", "champion", "--uri", uri]) == 0
    assert "use: --model models:/brainage@champion" in capsys.readouterr().out


def test_a_bad_alias_is_one_line(holdout, uri, capsys):
    arguments = ["track", "register", str(holdout.folder), "--uri", uri, "--alias", "v1"]
    assert run(arguments) == 2
    assert capsys.readouterr().err.count("\n") <= 2


def connections(server: socket.socket) -> int:
    """How often somebody called a server that does not answer."""
    server.setblocking(False)
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.slow
def test_a_server_that_hangs_costs_a_run_seconds_and_nothing_else(
    cohort, tmp_path, uri, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        silent = f"http://127.0.0.1:{server.getsockname()[1]}"
        config = tiny_config(cohort, trainer=ONE_EPOCH, tracking={"mlflow": True, "uri": silent})
        summary = train(config, runs_folder=tmp_path / "runs", resume=None)
        assert connections(server) == 1  # each one costs the run a timeout
        with pytest.raises(TrackingError, match="does not answer; sync again"):
            sync_runs([summary.run_dir])
    assert (summary.run_dir / "report.html").is_file()
    assert summary.mlflow_run_id is None
    (row,) = sync_runs([summary.run_dir], uri=uri).rows
    assert row.sent["models"] == 1


@pytest.fixture(scope="module")
def named(cohort, tmp_path_factory):
    """A run whose folders, scans and subjects are named after a person; one scan is torn."""
    folder = tmp_path_factory.mktemp("lab") / f"{NAME} Anna"
    folder.mkdir()
    rows = []
    for row in read_table(cohort.manifest):
        scan = folder / f"{NAME}-{row['scan']}"
        shutil.copy(cohort.folder / row["scan"], scan)
        rows.append([scan, f"{NAME}{row['subject']}", *list(row.values())[2:]])
    torn = folder / f"{NAME}-torn.nii.gz"
    torn.write_bytes(b"no scan")
    rows.append([torn, f"{NAME}torn", 40.0, "F", "a"])
    manifest = write_table(folder / "cohort.csv", rows, COLUMNS)
    uri = new_store(tmp_path_factory.mktemp("named"))
    config = tiny_config(
        cohort,
        data={"manifest": str(manifest)},
        trainer=ONE_EPOCH,
        tracking={"mlflow": True, "uri": uri, "system_metrics": False},
    )
    summary = train(config, runs_folder=folder / "runs", resume=None)
    return uri, summary


@pytest.mark.parametrize("sent", ["live", "by sync"])
def test_nobody_s_name_reaches_the_store(named, sent, tmp_path):
    live, summary = named
    uri = live if sent == "live" else new_store(tmp_path)
    if sent == "by sync":
        sync_runs([summary.run_dir], uri=uri)
    files = [
        path for path in Path(uri.removeprefix("sqlite:///")).parent.rglob("*") if path.is_file()
    ]
    names = {path.name for path in files}
    assert {"report.html", "config.yaml", "metrics.json", "model.yaml", "MLmodel"} <= names
    assert not {"predictions.csv", "held_out_predictions.csv"} & names
    assert [path for path in files if NAME.encode() in path.read_bytes()] == []
    assert NAME in (summary.run_dir / "report.html").read_text()


def test_tables_of_scans_are_sent_when_asked_for(holdout, tmp_path, uri):
    shutil.copytree(holdout.folder, tmp_path / "run")
    events = tmp_path / "run" / "events.jsonl"
    asked = events.read_text().replace('"upload_predictions": false', '"upload_predictions": true')
    events.write_text(asked)
    sync_runs([tmp_path / "run"], uri=uri)
    sent = list((tmp_path / "store" / "mlartifacts").rglob("held_out_predictions.csv"))
    assert len(sent) == 1
    assert sent[0].read_text() == (holdout.folder / "held_out_predictions.csv").read_text()
