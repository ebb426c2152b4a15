import json
from dataclasses import replace

import pytest

from brainage.reporting.worker_figures import write_worker_figures
from brainage.workflows.studies import workers
from brainage.workflows.studies.workers import run_worker_study


@pytest.fixture
def in_one_process(monkeypatch):
    def run(tasks, function, shared, jobs):
        for task in tasks:
            yield task, function(task, shared)

    monkeypatch.setattr("brainage.workflows.studies.fits.in_processes", run)


def test_the_study_measures_every_seed_and_is_not_repeated(
    config, tmp_path, monkeypatch, in_one_process
):
    folder = tmp_path / "study"
    result = run_worker_study(config, folder)
    assert [fit["seed"] for fit in result["fits"]] == [0, 1]
    assert len(result["fits"][0]["epochs"]) == 2
    assert [len(fit["leaders"]["block 1"]) for fit in result["fits"]] == [2, 2]
    assert [fit["leader_fraction"] for fit in result["activity"]] == [0.5, 0.5]
    assert [fit["leader_fraction"] for fit in result["activity_control"]] == [1.0, 1.0]
    lines = ["activity" in fit["windows"]["first"]["block 1"] for fit in result["activity"]]
    assert lines == [True, False]
    assert result["activity"][0]["windows"]["later"]["steps"] == [6, 7]
    output = result["summary"]["last_epoch"]["output layer"]["accuracy_percent"]["test"]
    each = [fit["epochs"][-1]["layers"][-1]["accuracy_percent"]["test"] for fit in result["fits"]]
    assert output["mean"] == pytest.approx(sum(each) / 2)
    assert result["summary"]["inference"]["zeroed"]["all"]["mean"] == pytest.approx(output["mean"])
    assert json.loads((folder / "result.json").read_text()) == result
    for measure in ("measure_workers", "measure_activity"):
        monkeypatch.setattr(workers, measure, None)
    assert run_worker_study(config, folder) == result
    names = {path.name for path in write_worker_figures(result, folder, scale="reduced: tiny")}
    assert names == {"best_leaders.png", "inference.png", "activity.png"}


def test_without_activity_nothing_is_trained_for_it(config, tmp_path, in_one_process):
    result = run_worker_study(replace(config, activity=None, seeds=(0,)), tmp_path / "study")
    assert result["activity"] == result["activity_control"] == []
    assert result["summary"]["activity"] == {}
    names = [path.name for path in write_worker_figures(result, tmp_path, scale="full")]
    assert names == ["best_leaders.png", "inference.png"]


@pytest.mark.slow
def test_fits_in_processes_of_their_own_find_the_same(config, tmp_path, request):
    single = replace(config, activity=None, seeds=(1,))
    apart = run_worker_study(single, tmp_path / "apart", jobs=2)
    request.getfixturevalue("in_one_process")
    assert run_worker_study(single, tmp_path / "here") == apart
