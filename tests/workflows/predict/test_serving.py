"""A served model: a path, an array and a file's bytes give the row that predict writes."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.errors import ConfigError
from brainage.workflows.predict.serving import load_server
from brainage.workflows.train.results import MODEL_LOADER
from tests.tracking.logged import log_model
from tests.workflows.tiny import read_table

AFFINE = np.eye(4).tolist()
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def served(holdout):
    return load_server(holdout.summary.model_dir)


def of_array(path):
    image = nib.load(path)
    return {"voxels": np.asarray(image.dataobj).tolist(), "affine": image.affine.tolist()}


def test_all_three_ways_give_the_age_of_predict(served, predicted):
    scan = predicted.source / "3" / "T1w.nii.gz"
    encoded = base64.b64encode(scan.read_bytes()).decode()
    rows = served([{"scan": str(scan)}, {**of_array(scan), "age_years": 30}, {"image": encoded}])
    expected = read_table(predicted.table)[2]
    assert [f"{row['predicted_age']:.4f}" for row in rows] == [expected["predicted_age"]] * 3
    assert [row["scan"] for row in rows] == [str(scan), "row 1", "row 2"]
    assert set(rows[0]) == set(expected)
    assert rows[1]["brain_age_gap"] == rows[1]["predicted_age"] - 30
    json.dumps(rows, allow_nan=False)


def test_a_scan_that_cannot_be_used_has_a_row_that_says_why(served, predicted):
    small = {"voxels": np.arange(27).reshape(3, 3, 3).tolist(), "affine": AFFINE}
    rows = served(
        [
            {"scan": str(predicted.source / "2" / "T1w.nii.gz")},
            {"scan": str(predicted.source / "gone.nii")},
            small,
            {"image": base64.b64encode(b"no scan").decode()},
        ]
    )
    assert [row["status"] for row in rows] == ["failed"] * 4
    assert [row["stage"] for row in rows] == ["read", "read", "check", "read"]
    assert "16 to 1024 voxels" in rows[2]["reason"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "expected one of scan, voxels, image, got none"),
        ({"scan": "a.nii", "voxels": [[[1]]]}, "got scan and voxels"),
        ({"scan": None, "image": None}, "got none"),
        ({"scan": 5}, "scan: expected text, got int 5"),
        ({"scan": ["a.nii"]}, "scan: expected text, got list"),
        ({"scan": " "}, "scan: expected text"),
        ({"scan": "a\0b"}, "scan: expected text"),
        ({"scan": "/tmp/\ud800x"}, "scan: expected text"),
        ({"scan": "a.nii", "age_years": 10**400}, "age_years: expected years"),
        ({"scan": "a.nii", 1: 2}, "got 1"),
        ({"voxels": [[[1]]]}, "voxels need an affine"),
        ({"scan": "a.nii", "affine": AFFINE}, "scan has its own affine"),
        ({"voxels": [[1, 2]], "affine": AFFINE}, "expected three axes, got 2"),
        ({"voxels": [[[1, 2]], [[3]]], "affine": AFFINE}, "expected an array"),
        ({"voxels": "volume", "affine": AFFINE}, "expected real numbers"),
        ({"voxels": [[[1, None]]], "affine": AFFINE}, "expected real numbers"),
        ({"voxels": [[[1, 2]]], "affine": [[1]]}, r"expected the shape \(4, 4\)"),
        ({"image": "?!"}, "image: expected base64"),
        ({"scan": "a.nii", "age_years": "old"}, "age_years: expected years"),
        ({"scan": "a.nii", "age_years": -1}, "age_years: expected years"),
        ({"scan": "a.nii", "scna": 1}, "got scna"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(served, request_, reason):
    with pytest.raises(ConfigError, match=rf"row 1: .*{reason}"):
        served([{"scan": "gone.nii"}, request_])


def test_a_folder_of_scans_is_not_one_scan(served, predicted):
    with pytest.raises(ConfigError, match=r"row 0: scan: .*expected one scan, got 3"):
        served([{"scan": str(predicted.source)}])


def test_no_request_at_all_is_refused(served):
    with pytest.raises(ConfigError, match="expected rows with one of scan, voxels, image"):
        served([])


@pytest.mark.slow
def test_mlflow_models_serve_answers_over_http(holdout, predicted, tmp_path):
    logged = log_model(tmp_path, holdout.summary.model_dir, MODEL_LOADER)
    model = logged.client.create_registered_model("brainage").name
    logged.client.create_model_version(model, source=logged.location, run_id=logged.run_id)
    scan = predicted.source / "3" / "T1w.nii.gz"
    with Serving("models:/brainage/1", f"sqlite:///{tmp_path}/mlflow.db", tmp_path) as server:
        status, answer = server.post([{"scan": str(scan)}, {"scan": "gone.nii"}])
        assert status == 200
        ages = [row["predicted_age"] for row in json.loads(answer)["predictions"]]
        assert (f"{ages[0]:.4f}", ages[1]) == (
            read_table(predicted.table)[2]["predicted_age"],
            None,
        )
        status, answer = server.post([of_array(scan)])
        assert (status, json.loads(answer)["predictions"][0]["predicted_age"]) == (200, ages[0])
        for wrong in ([], [{"scna": "a.nii"}], [{"scan": 5}], [{"voxels": [[[1]]]}]):
            status, answer = server.post(wrong)
            assert (status, "expected" in answer or "need" in answer) == (400, True), answer


class Serving:
    """``mlflow models serve`` on a free port, ended behind the context."""

    def __init__(self, model, store, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [
            sys.executable, "-m", "mlflow", "models", "serve", "-m", model,
            "--env-manager", "local", "-h", "127.0.0.1", "-p", str(self.port),
        ]  # fmt: skip
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {
            **os.environ, "MLFLOW_TRACKING_URI": store, "PATH": path,
            "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "300",
        }  # fmt: skip
        self.log = folder / "serving.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2):
                    return self
            except OSError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.5)

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def post(self, rows):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations",
            json.dumps({"dataframe_records": rows}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
