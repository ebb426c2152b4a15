"""Sites, repeats, early stopping, ensembles and views, through whole runs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from brainage.bundle.load import load_bundle
from brainage.errors import CohortError, RunFolderError
from brainage.preprocess.cache import PreprocessCache
from brainage.scans.manifest import read_manifest
from brainage.workflows.train.epochs import median_epoch
from brainage.workflows.train.plan_fits import plan_fits
from brainage.workflows.train.run import train
from tests.workflows.tiny import PREPROCESS, read_table, sha256, tiny_config

RULE = {"name": "bp", "leader_fraction": 1.0}
STOPPING = {"epochs": 4, "early_stopping": {"patience": 1}}


@pytest.fixture(scope="module")
def sites(cohort, tmp_path_factory):
    """Every site left out once, the networks of both kept, asked in two views."""
    config = tiny_config(
        cohort,
        objective=RULE,
        split={"leave_one_site_out": True, "min_site_subjects": 3},
        inference={"kept": "folds", "test_time_augmentation": 2},
        trainer=STOPPING,
    )
    return train(config, runs_folder=tmp_path_factory.mktemp("runs"), resume=None)


def volume_of(cohort, row):
    cache = PreprocessCache(cohort.cache, PREPROCESS)
    return cache.load(cache.key(sha256(cohort.scan(row["subject"])))).volume_XYZ


def test_a_site_is_predicted_by_the_network_that_never_saw_it_and_not_by_the_ensemble(
    cohort, sites
):
    rows = read_table(sites.run_dir / "held_out_predictions.csv")
    bundle = load_bundle(sites.model_dir)
    assert [member.name for member in bundle.members] == ["site-a", "site-b"]
    assert sites.split_sizes == {"site-a": 6, "site-b": 4}
    for row in rows[:1] + rows[-1:]:
        (own,) = [m for m in bundle.members if m.name == f"site-{row['site']}"]
        volume = volume_of(cohort, row)
        alone = load_bundle(sites.model_dir)
        object.__setattr__(alone, "members", (own,))
        object.__setattr__(alone, "training_space", None)  # which is of both networks
        said = float(row["predicted_age"])
        assert said == pytest.approx(alone.predict(volume).age_years, abs=2e-3)
        assert said != pytest.approx(bundle.predict(volume).age_years, abs=2e-3)


def test_the_ensemble_says_what_its_error_is_of(sites):
    card = (sites.model_dir / "MODEL_CARD.md").read_text()
    assert "the mean of 2 networks, over 2 views" in card
    assert "never by this mean" in card
    report = (sites.run_dir / "report.html").read_text()
    assert "Every site was predicted by a network that saw no scan of it" in report
    assert "stopped by the validation scans alone" in report
    calibration = load_bundle(sites.model_dir).calibration
    assert (calibration["evaluation"], calibration["networks"]) == ("leave_one_site_out", 2)
    assert sites.kept == {"networks": 2, "views": 2}


@pytest.fixture(scope="module")
def repeats(cohort, tmp_path_factory):
    config = tiny_config(cohort, objective=RULE, split={"folds": 2, "repeats": 2}, trainer=STOPPING)
    return config, train(config, runs_folder=tmp_path_factory.mktemp("runs"), resume=None)


def test_a_scan_s_prediction_is_the_mean_over_the_repeats(cohort, repeats):
    _, summary = repeats
    rows = read_table(summary.run_dir / "held_out_predictions.csv")
    each = read_table(summary.run_dir / "held_out_by_repeat.csv")
    assert [row["subject"] for row in rows] == [row[1] for row in cohort.rows()]
    assert len(each) == 2 * len(rows)
    errors = {"1": [], "2": []}
    for row in rows:
        said = [float(one["predicted_age"]) for one in each if one["scan"] == row["scan"]]
        assert float(row["predicted_age"]) == pytest.approx(np.mean(said), abs=1e-4)
        assert said[0] != said[1]
    for one in each:
        errors[one["repeat"]].append(abs(float(one["predicted_age"]) - float(one["age_years"])))
    maes = [np.mean(errors[repeat]) for repeat in "12"]
    told = json.loads((summary.run_dir / "metrics.json").read_text())["repeats"]
    assert told["mae_years"] == pytest.approx(maes, abs=1e-3)
    assert told["mae_years_mean"] == pytest.approx(np.mean(maes), abs=1e-3)
    assert told["mae_years_sd"] == pytest.approx(np.std(maes, ddof=1), abs=1e-3)
    assert summary.test["n"] == 10
    assert summary.split_sizes == {"fold1": 5, "fold2": 5}


def test_the_final_network_trains_as_long_as_the_folds_did_in_the_median(repeats):
    _, summary = repeats
    folds = [epoch for name, epoch in summary.epochs.items() if name != "final"]
    assert len(folds) == 4
    assert summary.epochs["final"] == median_epoch(folds)
    assert "median best epoch of the folds: final" in (summary.run_dir / "report.html").read_text()


@pytest.mark.parametrize(
    ("epochs", "median"), [([3], 3), ([1, 5, 9], 5), ([2, None], 2), ([], None), ([4, 7], 6)]
)
def test_a_median_is_a_whole_epoch(epochs, median):
    assert median_epoch(epochs) == median


@pytest.mark.slow
def test_a_finished_run_may_be_resumed_and_says_the_same(repeats, tmp_path):
    config, summary = repeats
    copied = shutil.copytree(summary.run_dir, tmp_path / "tiny")
    again = train(config, runs_folder=tmp_path, resume=copied)
    assert again.test == summary.test


def test_held_out_scans_are_not_scored_again_with_another_model(repeats, tmp_path):
    config, summary = repeats
    copied = shutil.copytree(summary.run_dir, tmp_path / "tiny")
    facts = json.loads((copied / "run.json").read_text())
    assert facts["scored"]["model_hash"] == load_bundle(summary.model_dir).model_hash
    facts["scored"]["networks_sha256"] = "0" * 64
    (copied / "run.json").write_text(json.dumps(facts))
    before = (copied / "held_out_predictions.csv").read_bytes()
    with pytest.raises(RunFolderError, match="scored once already, with another model"):
        train(config, runs_folder=tmp_path, resume=copied)
    assert (copied / "held_out_predictions.csv").read_bytes() == before


def test_nothing_left_to_stop_by_is_refused(cohort, tmp_path):
    """A scan that cannot be used may have been the only one to validate on."""
    config = tiny_config(cohort, objective=RULE, trainer=STOPPING)
    records = read_manifest(cohort.manifest, require_ages=True).records
    broken = {}
    for index in plan_fits(records, config)[0].split.validation:
        path = broken[records[index].subject] = tmp_path / f"{index}.nii.gz"
        path.write_bytes(b"no scan")
    manifest = cohort.manifest_with(tmp_path / "manifest.csv", broken)
    config = replace(config, data=replace(config.data, manifest=str(manifest)))
    with pytest.raises(CohortError, match="holdout: no scan is left to validate"):
        train(config, runs_folder=tmp_path / "runs", resume=None)
