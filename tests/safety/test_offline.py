"""Nothing goes to the network: not from the commands, not from the libraries they import."""

import csv
import json
import os
import subprocess
import sys

import pytest

from tests.safety.guard import Guarded
from tests.safety.hostile import copy_of_demonstration, seal
from tests.workflows.tiny import sample_scan

SCANS = ("sub-ds00274801", "sub-ds00274802", "sub-ds00274865")

REACH_OUT = """
import socket, urllib.request
for attempt in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
    lambda: urllib.request.urlopen("http://download.invalid/weights.pt", timeout=1),
    lambda: socket.socket().connect(("192.0.2.3", 80)),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("192.0.2.2", 53)),
):
    try:
        attempt()
    except OSError as error:
        print(error)
"""
COMMANDS = """
import json, sys
from brainage.cli import run
codes = [run(words) for words in json.loads(sys.argv[1])]
print()
print(json.dumps(codes))
"""


IMPORT_RUNTIME = """
import sys
from brainage.environment import prepare_environment
if sys.argv[1] == "prepared":
    prepare_environment()
import onnxruntime
"""


@pytest.fixture
def guarded(tmp_path):
    (tmp_path / "guard").mkdir()
    return Guarded(tmp_path / "guard")


def test_the_guard_sees_connections_names_and_datagrams(guarded, tmp_path):
    done = guarded.run(REACH_OUT, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 4
    assert [line.split(" by ")[0] for line in guarded.attempts] == [
        "getaddrinfo 192.0.2.1",
        "getaddrinfo download.invalid",
        "connect 192.0.2.3",
        "sendto 192.0.2.2",
    ]


def write_manifest(path, names):
    with path.open("w", newline="") as stream:
        rows = [[sample_scan(name), name, 30 + 5 * i] for i, name in enumerate(names)]
        csv.writer(stream).writerows([["scan", "subject", "age_years"], *rows])
    return str(path)


def exit_codes(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("jobs", "processes"), [(1, 1), pytest.param(2, 3, marks=pytest.mark.slow)]
)
def test_predict_stays_on_the_machine_with_its_workers(guarded, tmp_path, jobs, processes):
    people = write_manifest(tmp_path / "people.csv", SCANS[:jobs])
    commands = [["predict", people, "--out", "ages.csv", "--jobs", str(jobs)]]
    done = guarded.run(COMMANDS, json.dumps(commands), cwd=tmp_path)
    assert guarded.attempts == []
    assert exit_codes(done) == [0], done.stdout + done.stderr
    assert guarded.num_processes >= processes  # its own and its workers'
    with (tmp_path / "ages.csv").open() as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok"] * jobs


@pytest.mark.slow
def test_evaluate_and_doctor_stay_on_the_machine(guarded, tmp_path):
    model = copy_of_demonstration(tmp_path / "model")
    facts = json.loads((model / "calibration.json").read_text())
    facts |= {"training_subject_hashes": [], "training_scan_sha256": []}
    (model / "calibration.json").write_text(json.dumps(facts))
    seal(model)
    people = write_manifest(tmp_path / "people.csv", SCANS)
    commands = [
        ["evaluate", "--model", str(model), "--data", people, "--out", "evaluation"],
        ["doctor"],
    ]
    done = guarded.run(COMMANDS, json.dumps(commands), cwd=tmp_path)
    assert guarded.attempts == []
    assert exit_codes(done) == [0, 0], done.stdout + done.stderr
    assert guarded.num_processes >= 2  # the commands', the doctor's


@pytest.mark.parametrize("settings", ["prepared", "not prepared"])
def test_onnxruntime_gives_the_machine_no_number(settings, tmp_path):
    """It would be kept for its telemetry, which C code sends: the guard does not see that."""
    pytest.importorskip("onnxruntime", minversion="1.32")
    kept = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", IMPORT_RUNTIME, settings]
    subprocess.run(command, env=kept, check=True, timeout=120)
    assert bool([*tmp_path.rglob("deviceid")]) == (settings == "not prepared")
