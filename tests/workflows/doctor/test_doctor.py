"""``brainage doctor`` looks at everything, survives what is broken, and changes nothing."""

import http.server
import json
import sqlite3
import threading
from collections import Counter

import pytest

from brainage.bundle.versions import RECORDED_PACKAGES
from brainage.cli import run
from brainage.workflows.doctor import devices, machine, surroundings
from brainage.workflows.doctor.finding import Finding
from brainage.workflows.doctor.isolation import make_checks
from brainage.workflows.doctor.packages import DECIDING
from brainage.workflows.doctor.run import DoctorSummary, all_checks, doctor


@pytest.fixture(scope="module")
def summary():
    """What is found where the tests run, with the demonstration model."""
    return doctor(None)


@pytest.fixture
def imported_from(tmp_path, monkeypatch):
    """A folder that Python looks into first."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def named(findings, name) -> Finding:
    (found,) = [each for each in findings if each.name == name]
    return found


def checks_of(*names):
    return [check for check in all_checks(None) if check.name in names]


def test_every_package_that_decides_a_prediction_is_looked_at():
    assert set(DECIDING) == set(RECORDED_PACKAGES)


def test_every_group_has_findings_and_no_name_comes_twice(summary):
    groups = {each.group for each in summary.findings}
    assert groups == {"packages", "machine", "devices", "preprocessing", "surroundings", "model"}
    counts = Counter(each.name for each in summary.findings)
    assert [name for name, count in counts.items() if count > 1] == []


def test_the_golden_scan_of_the_demonstration_model_agrees_here(summary):
    golden = summary.to_json()["golden"]
    assert golden["agrees"] is True
    difference = golden["obtained_years"] - golden["expected_years"]
    assert golden["difference_years"] == pytest.approx(difference)
    assert named(summary.findings, "golden scan").status == "ok"


def test_a_broken_package_is_named_and_the_others_are_still_looked_at(imported_from):
    (imported_from / "monai.py").write_text("raise RuntimeError('built for another torch')")
    findings = make_checks(checks_of("own versions", "monai", "distributed"))
    broken = named(findings, "monai")
    assert broken.status == "problem"
    assert "cannot be imported: RuntimeError: built for another torch" in broken.found
    assert broken.advice.startswith("pip install --force-reinstall 'monai")
    assert named(findings, "distributed").status == "ok"


def test_a_package_that_takes_its_process_down_costs_its_line_alone(imported_from):
    (imported_from / "ants.py").write_text("import os, sys\nprint('bang', file=sys.stderr)\n"
                                           "sys.stderr.flush()\nos.abort()")  # fmt: skip
    findings = make_checks(checks_of("own versions", "antspyx", "distributed"))
    dead = named(findings, "antspyx")
    assert dead.status == "problem"
    assert dead.found == "the process ended with exit code -6; it last said: bang"
    assert [each.name for each in findings if each.status == "problem"] == ["antspyx"]
    assert named(findings, "distributed").status == "ok"


def test_without_torch_memory_disk_and_data_folder_are_still_looked_at(imported_from):
    (imported_from / "torch.py").write_text("raise ImportError('no driver')")
    findings = make_checks(checks_of("torch", "memory", "disk", "data folder", "processor"))
    problems = [each.name for each in findings if each.status == "problem"]
    assert problems == ["torch", "processor"]
    assert named(findings, "processor").advice == "see the lines on packages"


def test_an_import_that_hangs_is_told(imported_from):
    (imported_from / "nilearn.py").write_text("import time\ntime.sleep(60)")
    (imported_from / "onnx.py").write_text("")
    findings = make_checks(checks_of("nilearn", "onnx"), seconds=1.5)
    assert named(findings, "nilearn").found.startswith("no answer in 1.5 s")
    assert named(findings, "onnx").status == "ok"


def test_what_a_library_prints_does_not_get_among_the_answers(imported_from):
    (imported_from / "onnx.py").write_text("import os\nos.system('echo noise')\nprint('noise')")
    assert named(make_checks(checks_of("onnx")), "onnx").status == "ok"


def test_a_package_that_is_not_installed_comes_with_the_command_that_installs_it(monkeypatch):
    from brainage.workflows.doctor import packages

    monkeypatch.setattr(packages, "_version", lambda name: None)
    (onnx,) = packages.optional_package("onnx")
    assert (onnx.status, onnx.advice) == ("missing", "pip install 'brainage[export]'")
    (torch,) = packages.required_package("torch")
    assert torch.status == "problem"
    assert torch.advice.startswith("pip install 'torch")
    (others,) = packages.other_requirements()
    assert others.status == "problem"
    assert {"nibabel", "torchio"} < set(others.found.split(": ")[1].split(", "))
    assert "torch" not in others.found.split(": ")[1].split(", ")


def test_something_missing_is_no_problem_and_a_problem_is_exit_code_1():
    def result(*statuses):
        return DoctorSummary(
            findings=[
                Finding(group="g", name=f"n{i}", status=status, found="x")
                for i, status in enumerate(statuses)
            ]
        )

    assert result("ok", "missing").exit_code == 0
    assert result("ok", "missing").describe()[-1] == "no problem found"
    assert result("ok", "problem", "missing").exit_code == 1
    assert result("ok", "problem", "problem").describe()[-1] == "2 problems: n1, n2"


def test_little_memory_a_full_disk_and_too_many_threads_are_problems(monkeypatch):
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 1_000_000_000)
    monkeypatch.setattr(machine, "LEAST_DISK_GB", 1e9)
    monkeypatch.setattr(devices.torch, "get_num_threads", lambda: 999)
    assert machine.memory()[0].status == "problem"
    assert {each.status for each in machine.disk()} == {"problem"}
    assert devices.processor()[0].status == "problem"


def store(monkeypatch, folder, uri=None) -> Finding:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (found,) = surroundings.mlflow_store()
    return found


def test_looking_for_a_store_makes_none(tmp_path, monkeypatch):
    assert store(monkeypatch, tmp_path).status == "missing"
    assert store(monkeypatch, tmp_path, f"sqlite:///{tmp_path}/x.db").status == "missing"
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_read_and_a_file_that_is_none_is_a_problem(tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (id)")
        database.execute("INSERT INTO experiments VALUES (1)")
    database.close()
    before = (tmp_path / "mlflow.db").read_bytes()
    found = store(monkeypatch, tmp_path)
    assert (found.status, found.found) == ("ok", f"{tmp_path}/mlflow.db: 1 experiment")
    assert (tmp_path / "mlflow.db").read_bytes() == before
    (tmp_path / "other.db").write_text("no database, but long enough to look at" * 50)
    assert store(monkeypatch, tmp_path, f"sqlite:///{tmp_path}/other.db").status == "problem"


def test_a_server_that_answers_is_told_from_one_that_does_not(tmp_path, monkeypatch):
    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        found = store(monkeypatch, tmp_path, f"http://me:secret@{address}")
        assert "secret" not in found.found
        assert store(monkeypatch, tmp_path, f"http://{address}/").status == "ok"
        server.shutdown()
    gone = store(monkeypatch, tmp_path, f"http://{address}")
    assert gone.status == "problem"
    assert "cannot be reached: " in gone.found
    assert gone.advice


def test_a_data_folder_that_is_named_has_to_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRAINAGE_DATA", raising=False)
    assert surroundings.data_folder()[0].status == "missing"
    monkeypatch.setenv("BRAINAGE_DATA", str(tmp_path / "none"))
    assert surroundings.data_folder()[0].status == "problem"
    monkeypatch.setenv("BRAINAGE_DATA", str(tmp_path))
    assert surroundings.data_folder()[0].status == "ok"


def test_a_model_that_cannot_be_loaded_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert run(["doctor", "--model", str(tmp_path / "none")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert line.startswith(f"error: {tmp_path}/none: no such model folder; give --model")


def test_json_is_one_object(summary):
    assert json.loads(json.dumps(summary.to_json()))["problems"] == [
        each.name for each in summary.findings if each.status == "problem"
    ]
