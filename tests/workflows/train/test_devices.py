"""``brainage train --devices N``, torchrun: the weights of one device, and a word when one dies."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.cli import run
from brainage.config.load import dump_config
from brainage.config.run import RunConfig
from tests.workflows.tiny import sha256

pytestmark = pytest.mark.distributed

WEIGHTS = "model/weights.safetensors"
BRAINAGE = [sys.executable, "-m", "brainage", "train"]


@pytest.fixture
def config(holdout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run's configuration, without the scan that it predicts afterwards."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_config(replace(holdout.config, data=_data(holdout.config))))
    return path


def _data(config: RunConfig):
    return replace(config.data, unseen=None)


def environment() -> dict[str, str]:
    here = str(Path(__file__).parents[3])
    return {**os.environ, "PYTHONPATH": here, "GLOO_SOCKET_IFNAME": "lo"}


def start(*words: str, command: list[str] = BRAINAGE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@pytest.mark.slow
def test_two_devices_give_the_weights_of_one(holdout, config: Path) -> None:
    process = start("--config", "tiny.yaml", "--devices", "2", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["num_blocks"] == 3
    folder = Path(summary["run_dir"])
    assert sha256(folder / WEIGHTS) == sha256(holdout.folder / WEIGHTS)
    table = "held_out_predictions.csv"
    assert (folder / table).read_text() == (holdout.folder / table).read_text()


@pytest.mark.slow
def test_two_devices_choose_and_stop_like_one(config: Path) -> None:
    words = ("--config", "tiny.yaml", "--json", "--set", "split.inner_folds=2")
    words += ("--set", "trainer.early_stopping={patience: 1}")
    words += ("--set", "search={candidates: {a: [], b: [blocks.num_blocks=2]}}")
    folders = []
    for number in "12":
        process = start(*words, "--devices", number, "--runs", number)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        folders.append(Path(json.loads(out)["run_dir"]))
    for name in (WEIGHTS, "held_out_predictions.csv"):
        assert sha256(folders[0] / name) == sha256(folders[1] / name)
    one, two = (json.loads((folder / "metrics.json").read_text()) for folder in folders)
    assert one["search"] == two["search"]
    assert one["epochs"] == two["epochs"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("parallel.blocks_per_place=[2, 2]", "expected 3 blocks in all (blocks.num_blocks)"),
        ("parallel.replicas=[3]", "expected 2 devices in all, got [3]"),
        ("parallel.engine=blocks", "isolated rule"),
    ],
)
def test_devices_that_do_not_add_up_are_refused_before_anything_starts(
    setting: str, told: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = ["--set", "objective.name=bp"] if setting.endswith("blocks") else []
    assert run(["train", "-c", "tiny.yaml", "--devices", "2", "--set", setting, *rule]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: parallel.")
    assert told in error
    assert error.count("\n") == 1


def ranks_of(process: subprocess.Popen[str]) -> dict[int, int]:
    """Process ids by rank of the ranks that a launcher has started."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PPid:\t{process.pid}\n" not in (entry.parent / "status").read_text():
                continue
            variables = dict(
                each.split("=", 1) for each in entry.read_text().split("\0") if "=" in each
            )
        except OSError:
            continue
        if "RANK" in variables:
            found[int(variables["RANK"])] = int(entry.parent.name)
    return found


def wait_for_checkpoint(runs: Path) -> None:
    for _ in range(600):
        if list(runs.glob("*/checkpoints/holdout/step-*[0-9]")):
            return
        time.sleep(0.1)
    raise AssertionError("no checkpoint")


LONG = ("--set", "trainer.epochs=400", "--set", "parallel.timeout_seconds=5")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_rank_that_dies_or_hangs_ends_the_run_which_can_go_on(name: str, config: Path) -> None:
    process = start("--config", "tiny.yaml", "--devices", "2", *LONG)
    wait_for_checkpoint(Path("runs"))
    os.kill(ranks_of(process)[1], getattr(signal, name))
    begun = time.monotonic()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 2
    assert time.monotonic() - begun < (30 if name == "SIGKILL" else 75)
    assert "error: rank 0:" in err
    last = err.splitlines()[-1]
    assert last.startswith("error: rank 1 (process ")
    assert last.endswith("go on with: brainage train --devices 2 --resume runs/tiny")
    assert list(Path("runs/tiny/checkpoints/holdout").glob("step-*[0-9]"))


@pytest.mark.slow
def test_a_restart_goes_on_from_the_last_checkpoint(holdout, config: Path) -> None:
    words = ("--config", "tiny.yaml", "--json", "--set", "trainer.epochs=40")
    whole = start(*words, "--runs", "whole")
    _, err = whole.communicate(timeout=120)
    assert whole.returncode == 0, err
    process = start(*words, "--devices", "2", "--set", "parallel.max_restarts=1")
    wait_for_checkpoint(Path("runs"))
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [path.name for path in Path("runs").iterdir()] == ["tiny"]
    assert "resumed" in Path("runs/tiny/events.jsonl").read_text()
    assert sha256(Path("runs/tiny", WEIGHTS)) == sha256(Path("whole/tiny", WEIGHTS))


@pytest.mark.slow
def test_plain_torchrun_on_two_nodes_gives_the_weights_of_one_device(holdout, config: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    node = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=seven"]
    node += ["--rdzv-endpoint=localhost:29557", "-m", "brainage", "train", "-c", "tiny.yaml"]
    nodes = [start(*node, command=torchrun) for _ in range(2)]
    for each in nodes:
        _, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
    assert sha256(Path("runs/tiny", WEIGHTS)) == sha256(holdout.folder / WEIGHTS)
