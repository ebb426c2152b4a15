"""The program as a user starts it: train on real scans, kill it, go on, predict two others."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflows.tiny import SAMPLE, read_table, sha256, write_table

pytestmark = pytest.mark.slow

FEW = ["--set", "data.manifest=few.csv", "--set", f"data.unseen={SAMPLE / 'unseen.csv'}"]
PROGRAM = [sys.executable, "-c", "from brainage.cli import main; main()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working folder with a manifest of six people of the sample."""
    path = tmp_path_factory.mktemp("user")
    with (SAMPLE / "manifest.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["site"] == "ds002748"][:6]
    cells = [[SAMPLE / row["scan"], *list(row.values())[1:]] for row in rows]
    write_table(path / "few.csv", cells, rows[0])
    return path


@pytest.fixture(scope="module")
def environment(folder) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    return {**kept, "HOME": str(folder), "MPLCONFIGDIR": str(folder / ".matplotlib")}


@pytest.fixture(scope="module")
def brainage(folder, environment):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def trained(brainage):
    done = brainage("train", "--config", "lfnn3d.yaml", *FEW, "--set", "trainer.epochs=2", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_training_leaves_a_run_and_tells_nothing_but_its_progress(trained, folder):
    summary, stderr = trained
    run = folder / summary["run_dir"]
    for name in ("report.html", "metrics.json", "events.jsonl", "config.yaml", "predictions.csv",
                 "held_out_predictions.csv", "model/MODEL_CARD.md"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert json.loads((run / "metrics.json").read_text()) == summary
    assert (folder / "mlflow.db").exists()
    assert sum(summary["split_sizes"].values()) == 6
    told = [line for line in stderr.splitlines() if " INFO " not in line]
    assert told == []


def test_raw_scans_are_predicted_as_training_predicted_them(trained, brainage, folder):
    summary, _ = trained
    source = SAMPLE / "unseen.csv"
    done = brainage(
        "predict", str(source), "--model", summary["model_dir"], "--out", "ages.csv", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] == 2
    ages, before = (
        [{**row, "seconds": ""} for row in read_table(folder / name)]
        for name in ("ages.csv", f"{summary['run_dir']}/predictions.csv")
    )
    assert ages == before
    assert len({row["predicted_age"] for row in ages}) == 2


def wait_for_checkpoint(events: Path, process: subprocess.Popen[bytes], seconds: float = 200):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if events.exists() and '"checkpoint"' in events.read_text():
            return
        time.sleep(0.02)
    pytest.fail("no checkpoint was written before the end")


def test_a_killed_run_resumes_to_the_weights_of_one_that_was_not(
    trained, brainage, folder, environment
):
    options = ["--config", "lfnn3d.yaml", *FEW, "--set", "trainer.epochs=25",
               "--set", "tracking.mlflow=false", "--set", "data.unseen=null"]  # fmt: skip
    train = [*PROGRAM, "train", *options, "--runs", "killed"]
    with subprocess.Popen(train, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for_checkpoint(folder / "killed/lfnn3d/events.jsonl", process)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "killed/lfnn3d/model").exists()
    preprocessed = {path: path.stat().st_mtime_ns for path in folder.glob("cache/*.npz")}
    assert len(preprocessed) == 6

    resumed = brainage("train", "--resume", "killed/lfnn3d")
    assert resumed.returncode == 0, resumed.stderr
    assert brainage("train", *options, "--runs", "whole").returncode == 0
    weights = [folder / name / "lfnn3d/model/weights.safetensors" for name in ("killed", "whole")]
    assert sha256(weights[0]) == sha256(weights[1])
    kinds = [json.loads(line)["kind"] for line in open_lines(folder / "killed/lfnn3d/events.jsonl")]
    assert kinds.count("resumed") == 1
    assert {path: path.stat().st_mtime_ns for path in folder.glob("cache/*.npz")} == preprocessed


def open_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.startswith("{")]


def test_a_mistake_is_one_line_and_no_traceback(brainage, folder):
    for arguments in (
        ["train", "--config", "lfnn3.yaml"],
        ["train", "--config", "lfnn3d.yaml", "--set", "data.manifest=none.csv"],
        ["predict", "nothing", "--model", "none", "--out", "p.csv"],
    ):
        done = brainage(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
