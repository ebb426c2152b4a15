"""A run with folds, recorded with MLflow as runs are by default."""

import logging
import sqlite3

import numpy as np
import pytest

from brainage.bundle.load import load_bundle
from brainage.config.load import load_config
from brainage.tracking.jsonl import read_events
from brainage.workflows.train.run import train
from tests.workflows.tiny import PLANTED_AGES, read_table, tiny_config

FOLDS = ("fold1", "fold2", "fold3")


@pytest.fixture(scope="module")
def folds(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    config = tiny_config(
        cohort,
        split={"folds": 3},
        objective={"name": "bp_deep_supervision", "leader_fraction": 1.0},
        tracking={"mlflow": True, "uri": f"sqlite:///{folder / 'mlflow.db'}"},
        trainer={"epochs": 1},
    )
    level = logging.getLogger("alembic").level
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        summary = train(config, runs_folder=folder / "runs", resume=None)
    logging.getLogger("alembic").setLevel(level)
    return config, summary, folder


def test_a_run_with_folds_leaves_all_its_results(folds):
    config, summary, _ = folds
    for name in ("report.html", "metrics.json", "held_out_predictions.csv",
                 "figures/gap_and_age.png", "model/weights.safetensors"):  # fmt: skip
        assert (summary.run_dir / name).stat().st_size > 0, name
    for part in (*FOLDS, "final"):
        events = read_events(summary.run_dir / "parts" / part / "events.jsonl")
        assert any("train/loss" in event.fields.get("values", {}) for event in events), part
        assert events[-1].fields == {"status": "finished"}, part
    assert load_config(summary.run_dir / "config.yaml") == config
    assert not (summary.run_dir / "predictions.csv").exists()


def test_every_scan_is_predicted_once_by_the_fold_that_left_it_out(cohort, folds):
    _, summary, _ = folds
    rows = read_table(summary.run_dir / "held_out_predictions.csv")
    assert [row["subject"] for row in rows] == [row[1] for row in cohort.rows()]
    assert {row["fold"] for row in rows} == {"1", "2", "3"}
    assert summary.split_sizes == {name: 10 // 3 + (name == "fold1") for name in FOLDS}
    assert summary.test["n"] == 10


def test_the_ages_of_a_fold_s_test_scans_are_not_in_its_training_mean(folds):
    _, summary, _ = folds
    rows = read_table(summary.run_dir / "held_out_predictions.csv")
    ages = np.array([float(row["age_years"]) for row in rows])
    for number in "123":
        tested = np.array([row["fold"] == number for row in rows])
        (mean,) = {float(row["training_mean_age_years"]) for row in rows if row["fold"] == number}
        others = ages[~tested]
        # two of the others validate
        candidates = [
            (others.sum() - others[i] - others[j]) / (len(others) - 2)
            for i in range(len(others))
            for j in range(i)
        ]
        assert np.abs(np.array(candidates) - mean).min() < 1e-3


def test_the_kept_model_was_trained_on_all_scans(folds):
    _, summary, _ = folds
    calibration = load_bundle(summary.model_dir).calibration
    assert calibration["training_scans"] == 10
    assert calibration["training_age_range_years"] == [min(PLANTED_AGES), max(PLANTED_AGES)]
    assert calibration["evaluation"] == "kfold"
    assert "out of fold" in (summary.model_dir / "MODEL_CARD.md").read_text()


def test_mlflow_shows_the_run_above_its_folds_and_the_model(folds):
    _, summary, folder = folds
    with sqlite3.connect(folder / "mlflow.db") as store:
        names = dict(store.execute("select run_uuid, name from runs"))
        states = {row[0] for row in store.execute("select status from runs")}
        tags = store.execute("select run_uuid, value from tags where key = 'mlflow.parentRunId'")
        parents = dict(tags)
        query = "select value from latest_metrics where key = 'test/mae_years' and run_uuid = ?"
        ((mae,),) = store.execute(query, [summary.mlflow_run_id])
        ((models,),) = store.execute("select count(*) from logged_models")
    store.close()
    children = {names[child] for child, parent in parents.items()}
    assert names[summary.mlflow_run_id] == "tiny"
    assert set(parents.values()) == {summary.mlflow_run_id}
    assert children == {"tiny-fold1", "tiny-fold2", "tiny-fold3", "tiny-final"}
    assert states == {"FINISHED"}
    assert mae == pytest.approx(summary.test["mae_years"])
    assert models == 1
