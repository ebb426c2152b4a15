"""Batches: one row for each scan, the same tensors however many processes made them."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig, RegistrationConfig

CONFIG = PreprocessConfig(registration=RegistrationConfig(max_starts=1))


@pytest.fixture
def paths(tmp_path, make):
    """Two subjects' scans with the same file name, and a file that is no scan between them."""
    first = make.write_scan(tmp_path / "sub-1" / "anat.nii.gz", make.moved_brain(degrees=2))
    second = make.write_scan(tmp_path / "sub-2" / "anat.nii.gz", make.moved_brain(degrees=9))
    (tmp_path / "broken.nii").write_bytes(b"not a scan")
    return [first, tmp_path / "broken.nii", second]


def volumes(folder, outcomes):
    cache = PreprocessCache(folder, CONFIG)
    return [cache.load(outcome.key) for outcome in outcomes if outcome.status == "ok"]


@pytest.mark.slow
@pytest.mark.distributed
def test_the_number_of_processes_and_threads_changes_no_bit(paths, tmp_path):
    one = preprocess_scans(paths, CONFIG, tmp_path / "one", jobs=1)
    two = preprocess_scans(paths, CONFIG, tmp_path / "two", jobs=2)
    assert [row.key for row in one] == [row.key for row in two]
    assert [row.quality for row in one] == [row.quality for row in two]
    pairs = list(zip(volumes(tmp_path / "one", one), volumes(tmp_path / "two", two), strict=True))
    assert len(pairs) == 2
    for first, second in pairs:
        np.testing.assert_array_equal(first.volume_XYZ, second.volume_XYZ)
        np.testing.assert_array_equal(first.scan_to_template, second.scan_to_template)


def test_a_bad_scan_costs_its_row_and_files_with_one_name_stay_apart(paths, tmp_path):
    seen = []
    rows = preprocess_scans(paths, CONFIG, tmp_path / "cache", on_outcome=seen.append)
    assert [row.scan for row in rows] == paths
    assert [row.status for row in rows] == ["ok", "failed", "ok"]
    assert rows[1].stage == "read"
    assert "expected NIfTI" in rows[1].reason
    assert seen == rows
    first, second = volumes(tmp_path / "cache", rows)
    assert rows[0].key != rows[2].key
    assert not np.array_equal(first.volume_XYZ, second.volume_XYZ)

    again = preprocess_scans(paths, CONFIG, tmp_path / "cache")
    assert [row.cached for row in again] == [True, False, True]
    assert [row.key for row in again] == [row.key for row in rows]
    assert again[0].quality == rows[0].quality


def test_a_failure_after_a_success_has_no_result(make, tmp_path):
    good = make.write_scan(tmp_path / "good.nii.gz", make.moved_brain())
    made = make.moved_brain()
    made.data_XYZ[:] = 0
    made.data_XYZ[5:65, 30:50, 30:50] = np.random.default_rng(0).uniform(100, 900, (60, 20, 20))
    bad = make.write_scan(tmp_path / "bad.nii.gz", made)
    rows = preprocess_scans([good, bad], CONFIG, tmp_path / "cache")
    assert [row.status for row in rows] == ["ok", "failed"]
    assert rows[1].stage == "registration"
    cache = PreprocessCache(tmp_path / "cache", CONFIG)
    assert cache.load(rows[1].key) is None
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


def test_an_interruption_keeps_what_is_finished(paths, tmp_path):
    def interrupt(outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preprocess_scans(paths[:1], CONFIG, tmp_path / "cache", on_outcome=interrupt)
    rows = preprocess_scans(paths[:1], CONFIG, tmp_path / "cache")
    assert rows[0].cached


def test_a_damaged_entry_is_made_again(paths, tmp_path):
    first = preprocess_scans(paths[:1], CONFIG, tmp_path / "cache")[0]
    path = PreprocessCache(tmp_path / "cache", CONFIG).path(first.key)
    before = volumes(tmp_path / "cache", [first])[0].volume_XYZ
    path.write_bytes(path.read_bytes()[:1000])
    again = preprocess_scans(paths[:1], CONFIG, tmp_path / "cache")[0]
    assert (again.status, again.cached) == ("ok", False)
    np.testing.assert_array_equal(volumes(tmp_path / "cache", [again])[0].volume_XYZ, before)


def worker_processes():
    return [child for child in multiprocessing.active_children() if child.pid]


@pytest.mark.distributed
def test_a_worker_that_dies_costs_one_row(paths, tmp_path):
    killed = []

    def kill_one():
        while not killed:
            for child in worker_processes():
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)
                return
            time.sleep(0.01)

    threading.Thread(target=kill_one, daemon=True).start()
    scans = [paths[0], paths[2]]
    rows = preprocess_scans(scans, CONFIG, tmp_path / "cache", jobs=2)
    assert [row.scan for row in rows] == scans
    lost = [row for row in rows if row.status == "failed"]
    assert [row.stage for row in lost] == ["worker"]
    assert "exit code -9" in lost[0].reason
    assert worker_processes() == []


@pytest.mark.slow
@pytest.mark.distributed
def test_an_interruption_ends_the_worker_processes(paths, tmp_path):
    def interrupt(outcome):
        if outcome.status == "ok":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preprocess_scans(
            [paths[0], paths[2]], CONFIG, tmp_path / "cache", jobs=2, on_outcome=interrupt
        )
    assert worker_processes() == []
    assert len(list((tmp_path / "cache").glob("*.npz"))) >= 1
    assert list((tmp_path / "cache").rglob("*.tmp")) == []


def test_jobs_below_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs: expected at least 1, got 0"):
        preprocess_scans([], CONFIG, tmp_path, jobs=0)


def test_no_scans_are_no_rows(tmp_path):
    assert preprocess_scans([], CONFIG, tmp_path, jobs=2) == []
