"""The preprocessing benchmark: its table, and that it measures what it says."""

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from brainage.cli import run
from brainage.preprocess.template import load_template
from brainage.workflows.benchmark.preprocess import PreprocessSpeed

SPEED = PreprocessSpeed(
    scans=4,
    failed=(),
    step_seconds={"read": 0.1, "brain_extraction": 0.9},
    seconds_per_scan_median=1.0,
    cpu_seconds_per_scan_median=0.9,
    scans_per_minute={1: 60.0, 2: 105.0},
    peak_memory_bytes=1_200_000_000,
    rounds=3,
)


def test_the_ratio_is_that_of_scans_per_minute():
    assert SPEED.speedup == 1.75
    assert SPEED.to_json()["speedup"] == 1.75
    assert json.loads(json.dumps(SPEED.to_json()))["scans_per_minute"] == {"1": 60.0, "2": 105.0}


def test_the_table_says_what_is_inside_the_clock_and_where_time_goes():
    text = "\n".join(SPEED.describe())
    assert "inside the clock: reading" in text
    assert "brain_extraction      0.90 s    90 %" in text
    assert "1.20 GB a process" in text


def brains(folder):
    """Two small stripped brains."""
    template = load_template()
    for number in (1, 2):
        data = ndimage.zoom(template.brain_XYZ, 0.7, order=1)
        affine = np.diag([2 / 0.7 + 0.1 * number] * 3 + [1.0])
        image = nib.Nifti1Image((800 * data).astype(np.int16), affine)
        image.to_filename(folder / f"sub-{number}_T1w.nii.gz")


@pytest.mark.slow
@pytest.mark.distributed
def test_scans_are_measured_with_one_and_with_two_processes(tmp_path, capsys):
    brains(tmp_path)
    (tmp_path / "broken.nii").write_bytes(b"no scan")
    code = run(
        ["benchmark", "preprocess", str(tmp_path), "--config", "preprocess/mni4mm.yaml", "--json"]
    )
    result = json.loads(capsys.readouterr().out)
    assert code == 1
    assert result["scans"] == 3
    assert [reason.split(":")[1].strip() for reason in result["failed"]] == ["read"]
    assert set(result["scans_per_minute"]) == {"1", "2"}
    assert next(iter(result["step_seconds"])) == "read"
    assert result["peak_memory_bytes"] > 1e8
