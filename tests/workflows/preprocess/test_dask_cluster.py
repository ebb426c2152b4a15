"""Scans as tasks of a Dask cluster: the same files, and a worker that dies costs one row."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from brainage.derivatives.task import MakeDerivatives
from brainage.errors import ClusterError
from brainage.preprocess.config import GridConfig, PreprocessConfig
from brainage.workflows.preprocess import dask_cluster as preprocess_dask
from brainage.workflows.preprocess.run import preprocess
from tests.workflows.preprocess.test_run import Made, made  # noqa: F401 - a fixture
from tests.workflows.tiny import PREPROCESS, read_table

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def cluster():
    """Workers in threads of this process: quick to start."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        yield cluster


def test_a_cluster_makes_the_same_files_and_rows(made: Made, cluster, tmp_path):  # noqa: F811
    summary = preprocess(
        made.source, out=tmp_path / "out", config=PREPROCESS, cache_folder=made.cache,
        dask=cluster.scheduler_address,
    )  # fmt: skip
    assert (summary.ok, summary.failed) == (2, 1)
    found, expected = (
        {p.relative_to(root): p.read_bytes() for p in root.glob("sub-*/anat/*") if p.is_file()}
        for root in (tmp_path / "out", made.out)
    )
    assert found == expected
    ours, theirs = read_table(tmp_path / "out" / "qc.csv"), read_table(made.out / "qc.csv")
    assert [{**row, "seconds": ""} for row in ours] == [{**row, "seconds": ""} for row in theirs]


def test_a_scheduler_that_is_not_there_is_one_line(made: Made, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(preprocess_dask, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match="cannot reach a Dask scheduler"):
        preprocess(made.source, out=tmp_path / "out", config=PREPROCESS, cache_folder=made.cache,
                   dask="tcp://127.0.0.1:1")  # fmt: skip


def test_a_scheduler_file_that_does_not_come_is_one_line_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(preprocess_dask, "CONNECT_SECONDS", 0.3)
    with pytest.raises(ClusterError, match="found no such file"):
        preprocess_dask.preprocess_on_dask(
            [Path("a.nii")], PREPROCESS, tmp_path, on_outcome=print,
            task=MakeDerivatives(tmp_path, {}), address=str(tmp_path / "scheduler.json"),
        )  # fmt: skip


def test_a_scheduler_file_may_come_later_than_the_command(cluster, tmp_path):
    path = tmp_path / "scheduler.json"
    content = json.dumps({"address": cluster.scheduler_address})
    later = threading.Timer(0.6, path.write_text, [content])
    later.start()
    with preprocess_dask._connected(str(path)) as client:
        assert client.scheduler_info()["address"] == cluster.scheduler_address
    later.join()


def test_a_cluster_without_workers_is_one_line(made: Made, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(preprocess_dask, "CONNECT_SECONDS", 1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(ClusterError, match="no workers"),
    ):
        preprocess(made.source, out=tmp_path / "out", config=PREPROCESS, cache_folder=made.cache,
                   dask=empty.scheduler_address)  # fmt: skip


@pytest.mark.parametrize("seen", [True, False])
def test_workers_that_differ_or_see_other_folders_are_refused(cluster, tmp_path, seen, monkeypatch):
    def answer(config, tokens):
        other = PreprocessConfig(grid=GridConfig(mask="intersection"))
        return preprocess_dask.preprocessing_hash(other if seen else config), (
            [] if seen else [tmp_path]
        )

    monkeypatch.setattr(preprocess_dask, "_what_a_worker_has", answer)
    told = "would preprocess differently" if seen else f"does not see {tmp_path}"
    with pytest.raises(ClusterError, match=told):
        preprocess_dask.preprocess_on_dask(
            [Path("a.nii")], PREPROCESS, tmp_path, on_outcome=print,
            task=MakeDerivatives(tmp_path, {}), address=cluster.scheduler_address,
        )  # fmt: skip


@pytest.mark.slow
def test_a_scan_that_kills_its_workers_costs_one_row(tmp_path):
    program = Path(__file__).with_name("deadly_cluster.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=True
    )
    *others, deadly = sorted(json.loads(done.stdout), key=lambda row: row[0] == "deadly")
    assert [row[:2] for row in others] == [["a", "ok"], ["b", "ok"], ["c", "ok"]]
    assert deadly[:3] == ["deadly", "failed", "worker"]
    assert "died" in deadly[3]
