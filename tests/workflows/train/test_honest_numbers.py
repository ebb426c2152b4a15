"""What held-out scans say of the model that a run keeps; its training scans say nothing."""

import json

import numpy as np
import pytest

import brainage.workflows.train.run as training
from brainage.bundle.fit_space import embed
from brainage.bundle.load import load_bundle
from brainage.errors import ConfigError
from brainage.workflows.train import run_space
from brainage.workflows.train.run_space import fit_run_space
from tests.workflows.tiny import read_table, tiny_config


@pytest.fixture(scope="module")
def finished(cohort, tmp_path_factory):
    """A run with folds as its results are written, and its summary."""
    config = tiny_config(
        cohort, split={"folds": 3}, trainer={"epochs": 1}, objective={"name": "bp"}
    )
    seen = []
    original = training.write_results

    def spy(run):
        seen.append(run)
        return original(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "write_results", spy)
        summary = training.train(config, runs_folder=tmp_path_factory.mktemp("honest"), resume=None)
    return seen[0], summary


def test_the_interval_is_that_of_the_held_out_residuals(finished):
    _, summary = finished
    rows = read_table(summary.run_dir / "held_out_predictions.csv")
    residuals = [abs(float(row["brain_age_gap"])) for row in rows]
    (only,) = load_bundle(summary.model_dir).intervals.bins
    # ten scans: one tail, rank ceil(11 * 0.9) = 10
    assert only.high_years == -only.low_years == pytest.approx(max(residuals), abs=1e-3)


def test_what_there_are_too_few_scans_for_is_absent_and_the_model_says_why(finished):
    _, summary = finished
    bundle = load_bundle(summary.model_dir)
    assert bundle.age_line is None
    assert "needs 20 people" in bundle.calibration["absent"]["age_line"]
    card = (summary.model_dir / "MODEL_CARD.md").read_text()
    assert "## What one prediction is worth" in card
    assert "No age is corrected for age bias: a line of predicted age over age needs 20" in card
    measured = bundle.calibration["measured_coverage"]
    assert f"it did in {measured['coverage']:.0%}" in card
    assert "errors of the networks of the folds" in card


def test_the_space_is_that_of_the_kept_network_and_its_training_scans(finished):
    run, summary = finished
    (space,) = load_bundle(summary.model_dir).training_space.members
    features_NF = embed(run.kept.chain.eval(), run.cohort.volumes.subset(run.training))
    np.testing.assert_allclose(space.mean_F, features_NF.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_the_limit_is_that_of_scans_their_network_has_not_seen(finished):
    run, _ = finished
    facts = fit_run_space(run).facts
    assert facts["held_out_scans"] == len(run.cohort.records) == 10
    assert facts["expected_beyond"] == pytest.approx(1 / 11)
    (space,) = fit_run_space(run).space.members
    trained_on = embed(run.kept.chain, run.cohort.volumes.subset(run.training))
    assert facts["held_out_median"] > np.median([space.distance(row) for row in trained_on])


def test_a_large_cohort_is_drawn_from(finished, monkeypatch):
    run, _ = finished
    shown = []
    original = run_space.embed

    def spy(chain, volumes):
        shown.append(len(volumes))
        return original(chain, volumes)

    monkeypatch.setattr(run_space, "embed", spy)
    monkeypatch.setattr(run_space, "MOST_SCANS", 4)
    found = fit_run_space(run)
    assert shown == [4, 1, 4, 1, 4, 1, 4]
    assert found.space is None
    assert "got 3" in found.reason


def test_networks_are_left_as_they_were(finished):
    run, _ = finished
    before = [fit.chain.training for fit in run.fits.values()]
    fit_run_space(run)
    assert [fit.chain.training for fit in run.fits.values()] == before


def test_a_hold_out_of_two_scans_says_nothing_and_the_model_loads(holdout):
    bundle = load_bundle(holdout.summary.model_dir)
    assert (bundle.age_line, bundle.intervals, bundle.training_space) == (None, None, None)
    absent = json.loads((bundle.folder / "calibration.json").read_text())["absent"]
    assert set(absent) == {"age_line", "intervals", "measured_coverage", "training_space"}


@pytest.mark.parametrize("coverage", [0.49, 0.995])
def test_a_coverage_that_no_interval_can_be_given_for_is_refused(coverage):
    with pytest.raises(ConfigError, match=r"inference\.coverage: expected from 0\.5 to 0\.99"):
        tiny_config(inference={"coverage": coverage})
