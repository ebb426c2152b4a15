"""A model from anybody: no code of it runs, and it reads nothing outside its folder."""

import json
import pickle
import subprocess
import sys

import pytest
import torch

from brainage.bundle.load import load_bundle
from brainage.cli import run
from brainage.config.yaml_text import read_yaml
from tests.safety.hostile import Payload, copy_of_demonstration, set_model
from tests.workflows.tiny import sample_scan

SCAN = sample_scan("sub-ds00274801")


@pytest.fixture
def hostile(tmp_path):
    return copy_of_demonstration(tmp_path / "model")


def refused(model, tmp_path, capsys) -> str:
    """The one line that ``predict`` says; nothing is written and the payload has not run."""
    capsys.readouterr()
    code = run(["predict", str(SCAN), "--model", str(model), "--out", str(tmp_path / "out.csv")])
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert "Traceback" not in said
    assert not (tmp_path / "mark").exists()
    assert not (tmp_path / "out.csv").exists()
    return line


@pytest.mark.parametrize("writer", [pickle.dumps, "torch"])
def test_a_pickle_in_place_of_weights_is_refused_and_does_not_run(
    writer, hostile, tmp_path, capsys
):
    payload, weights = Payload(tmp_path / "mark"), hostile / "weights.safetensors"
    if writer == "torch":
        torch.save(payload, weights)
    else:
        weights.write_bytes(writer(payload))
    set_model(hostile)
    assert "weights.safetensors: damaged: " in refused(hostile, tmp_path, capsys)


def test_the_payload_would_leave_its_mark(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["model.yaml", "preprocessing.yaml"])
@pytest.mark.parametrize(
    "tag", ["python/object/apply:os.mkdir", "python/object/new:os.mkdir", "python/name:os.mkdir"]
)
def test_an_object_of_python_in_yaml_is_refused_and_is_not_made(
    name, tag, hostile, tmp_path, capsys
):
    with (hostile / name).open("a") as stream:
        stream.write(f"payload: !!{tag} [{tmp_path / 'mark'}]\n")
    assert f"{name}, line" in (line := refused(hostile, tmp_path, capsys))
    assert "could not determine a constructor" in line


def test_a_setting_that_is_an_object_of_python_is_refused(hostile, tmp_path, capsys):
    """In the text of an override, which is YAML within YAML."""
    member = read_yaml(hostile / "model.yaml")["members"][0]
    override = f"seed=!!python/object/apply:os.mkdir [{tmp_path / 'mark'}]"
    set_model(hostile, members=[{**member, "overrides": [override]}])
    assert "could not determine a constructor" in refused(hostile, tmp_path, capsys)


WATCH = """
import json, sys
from pathlib import Path
from brainage.workflows.predict.run import predict
seen = []
def watch(event, details):
    if event in ("open", "os.listdir", "os.scandir", "subprocess.Popen", "os.system", "os.exec",
                 "os.posix_spawn", "os.fork", "pty.spawn"):
        seen.append(f"{event} {details[0]!r}")
sys.addaudithook(watch)
model, scan, out = sys.argv[1:]
predict(Path(scan), model=model, out=Path(out), resume=False, jobs=1)
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_paths_in_a_model_are_not_opened_and_no_program_is_started(hostile, tmp_path):
    """A model is a training run's configuration, which names manifests, folders and a store."""
    content = read_yaml(hostile / "model.yaml")["run"]
    planted = tmp_path / "planted"
    content["data"] |= {
        "manifest": f"{planted}/manifest.csv", "unseen": f"{planted}/unseen.csv",
        "root": f"{planted}/root", "cache_dir": f"{planted}/cache",
    }  # fmt: skip
    content["tracking"] |= {"mlflow": True, "uri": f"sqlite:///{planted}/mlflow.db"}
    set_model(hostile, run=content)
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(hostile), str(SCAN), str(tmp_path / "out.csv")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seen = json.loads(done.stdout.splitlines()[-1])
    assert [each for each in seen if str(planted) in each] == []
    assert [each for each in seen if not each.startswith(("open ", "os.listdir ", "os.scan"))] == []
    assert any("weights.safetensors" in each for each in seen)
    assert not planted.exists()


@pytest.mark.parametrize(
    "method", ["./payload", "/bin/sh", "hd-bet; touch mark", "python3 -c pass"]
)
def test_a_model_cannot_name_the_program_that_extracts_brains(method, hostile, tmp_path, capsys):
    content = read_yaml(hostile / "model.yaml")["run"]
    content["preprocess"]["brain_extraction"]["method"] = method
    set_model(hostile, run=content)
    assert "brain_extraction.method: " in refused(hostile, tmp_path, capsys)


def test_the_copy_itself_loads(hostile):
    """So that the refusals above are of what was planted."""
    set_model(hostile)
    assert load_bundle(hostile).folder == hostile
