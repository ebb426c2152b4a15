import json

import pytest

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.load import load_bundle
from brainage.errors import CohortError
from brainage.scans.source import find_scans
from brainage.workflows.benchmark import predict as measured
from brainage.workflows.benchmark.predict import benchmark_predict
from brainage.workflows.predict import stream
from tests.workflows.predict.killed import StandIn


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Scans whose preprocessing is a stand-in; number 3 fails."""
    monkeypatch.setattr(stream, "MakeVolume", lambda keep: StandIn(tmp_path / "log", hurry=True))
    monkeypatch.setattr(measured, "_network_seconds", lambda bundle, scan: [0.1, 0.3, 0.2])
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.nii").touch()
    return folder


@pytest.mark.slow
@pytest.mark.distributed
def test_both_numbers_of_jobs_and_the_network_are_timed(source):
    told = []
    result = benchmark_predict(source, model=None, limit=6, report=told.append)
    assert set(result.seconds_per_scan) == {1, 2}
    assert all(seconds > 0 for seconds in result.seconds_per_scan.values())
    assert (result.network_seconds, result.views, result.grid) == (0.2, 4, (40, 48, 40))
    assert len(told) == 2
    values = json.loads(json.dumps(result.to_json()))
    assert values["speedup"] == pytest.approx(
        values["seconds_per_scan"]["1"] / values["seconds_per_scan"]["2"]
    )
    assert any(line.startswith("1 network(s) on 4 view(s): 0.200 s") for line in result.describe())


def test_a_scan_that_fails_is_named(source):
    bundle = load_bundle(DEMONSTRATION)
    seconds, reasons = measured._chain_seconds(find_scans(source).records, bundle, 1, "cpu")
    assert seconds > 0
    assert [reason.split("/")[-1] for reason in reasons] == ["3.nii: check: planted"]


def test_fewer_scans_than_jobs_are_refused(source):
    with pytest.raises(CohortError, match="expected more scans than 2 jobs, got 2"):
        benchmark_predict(source, model=None, limit=2, report=print)
