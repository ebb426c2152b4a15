"""kill -9: nothing that was done is lost, nothing is done twice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainage.workflows.predict import stream
from brainage.workflows.predict.run import predict
from tests.workflows.predict.killed import StandIn
from tests.workflows.tiny import read_table

ROOT = Path(__file__).parents[3]
NUM_SCANS = 9


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(NUM_SCANS):
        (folder / f"{number}.nii").touch()
    return folder


def known_rows(out: Path) -> set[int]:
    """Scans whose rows are on the disk, in the table or before their turn."""
    journal = out.with_name(f"{out.name}.rows.jsonl")
    in_table = range(max(0, out.read_bytes().count(b"\n") - 1)) if out.exists() else ()
    lines = journal.read_bytes().split(b"\n")[1:-1] if journal.exists() else ()
    return {*in_table, *(json.loads(line)[0] for line in lines)}


def start(source: Path, model: str, out: Path, log: Path) -> subprocess.Popen:
    words = [sys.executable, "-m", "tests.workflows.predict.killed", str(source), model, str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*words, str(log)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )


def kill_when(process: subprocess.Popen, out: Path, num_rows: int) -> None:
    end = time.monotonic() + 100
    while len(known_rows(out)) < num_rows:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.005)
    process.kill()
    process.communicate()


@pytest.mark.distributed
@pytest.mark.parametrize(
    "moments",
    [(4,), pytest.param((1, 3, 4, 7), marks=pytest.mark.slow)],
    ids=lambda moments: f"{len(moments)} kills",
)
def test_a_killed_prediction_goes_on_and_does_no_finished_scan_again(
    moments, source, holdout, tmp_path, monkeypatch
):
    out, done, model = tmp_path / "out.csv", set(), str(holdout.summary.model_dir)
    for number, moment in enumerate(moments):
        log = tmp_path / f"log{number}"
        kill_when(start(source, model, out, log), out, moment)
        assert done.isdisjoint(map(int, log.read_text().split()))
        done = known_rows(out)
    log = tmp_path / "last"
    last = start(source, model, out, log)
    assert (last.communicate()[0], last.returncode) == (None, 0)
    assert sorted(map(int, log.read_text().split())) == sorted(set(range(NUM_SCANS)) - done)
    assert {path.name for path in tmp_path.glob("out.csv*")} == {"out.csv"}

    whole = tmp_path / "whole.csv"
    monkeypatch.setattr(stream, "MakeVolume", lambda keep: StandIn(tmp_path / "x", hurry=True))
    summary = predict(source, model=model, out=whole, resume=False, jobs=1)
    assert (summary.ok, summary.failed) == (NUM_SCANS - 1, 1)
    assert without_seconds(out) == without_seconds(whole)


def without_seconds(path: Path) -> list[dict[str, str]]:
    return [{**row, "seconds": ""} for row in read_table(path)]
