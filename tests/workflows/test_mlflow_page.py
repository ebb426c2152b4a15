"""MLflow's own pages with runs of two rules, in a real browser."""

import json

import pytest

from brainage.tracking.mlflow_api import MlflowClient
from brainage.workflows.track.sync import sync_runs
from brainage.workflows.train.run import train
from tests.tracking.servers import running_server
from tests.workflows.tiny import tiny_config

pytestmark = [pytest.mark.slow, pytest.mark.distributed]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def shown(cohort, holdout, tmp_path_factory):
    """A server with a run of LFNN-l and one of back-propagation, and their ids by name."""
    folder = tmp_path_factory.mktemp("page")
    config = tiny_config(cohort, objective={"name": "bp", "leader_fraction": 1.0})
    other = train(config, runs_folder=folder / "runs", resume=None).run_dir
    other = other.rename(other.with_name("other"))
    with running_server(folder / "server") as server:
        sync_runs([holdout.folder, other], uri=server.uri)
        client = MlflowClient(server.uri)
        runs = {run.data.tags["objective"]: run for run in client.search_runs(["1"])}
        client.update_run(runs["bp"].info.run_id, name="with-bp")
        client.update_run(runs["lfnn_l"].info.run_id, name="with-lfnn-l")
        yield server.uri, {name: run.info.run_id for name, run in runs.items()}


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


def test_the_compare_page_shows_both_runs_their_rules_and_their_errors(shown, page):
    uri, runs = shown
    ids = json.dumps(list(runs.values()), separators=(",", ":"))
    page.goto(f"{uri}/#/compare-runs?runs={ids}&experiments=%5B%221%22%5D")
    for text in ("with-bp", "with-lfnn-l", "objective.name", "test/mae_years"):
        page.get_by_text(text, exact=True).first.wait_for(state="attached")


def test_results_are_bars_and_epochs_are_curves(shown, page):
    uri, _ = shown
    page.goto(f"{uri}/#/experiments/1/runs?compareRunsMode=CHART&workflowType=machine_learning")
    search = page.get_by_placeholder("Search metric charts")
    search.fill("^test/mae_years$")
    page.locator(".js-plotly-plot .bars path").first.wait_for(state="attached")
    assert page.locator(".js-plotly-plot .scatterlayer .trace").count() == 0
    search.fill("^val/mae_years$")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for(state="attached")


def test_the_report_among_the_artifacts_makes_no_error_of_its_own(shown, page):
    uri, runs = shown
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{uri}/#/experiments/1/runs/{runs['bp']}/artifacts/report.html")
    frame = page.frame_locator("iframe").first
    frame.get_by_text("Mean absolute error", exact=False).first.wait_for(state="attached")
    assert frame.get_by_text("stay in the run's folder").count() > 0
    assert errors == []
