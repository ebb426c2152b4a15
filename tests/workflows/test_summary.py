import json
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.workflows.summary import PredictSummary
from brainage.workflows.train.model_card import RULES, model_card
from tests.workflows.tiny import tiny_config

PREDICTED = PredictSummary(
    rows=5, ok=3, failed=0, skipped=2, failed_before=0, seconds_per_scan=1.5, out=Path("p.csv")
)


@pytest.mark.parametrize(
    ("changes", "code"), [({}, 0), ({"failed": 1}, 1), ({"failed_before": 1}, 1)]
)
def test_one_failed_scan_is_enough_for_exit_code_1(changes, code):
    assert replace(PREDICTED, **changes).exit_code == code


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 1)])
def test_training_that_lost_scans_ends_in_exit_code_1(failed, code, holdout):
    assert replace(holdout.summary, failed_scans=failed).exit_code == code


def test_summaries_are_plain_json_with_the_promised_keys(holdout):
    assert json.loads(json.dumps(PREDICTED.to_json())) == PREDICTED.to_json()
    assert set(PREDICTED.to_json()) >= {
        "rows", "ok", "failed", "skipped", "seconds_per_scan", "out",
    }  # fmt: skip
    trained = holdout.summary.to_json()
    assert set(trained) >= {
        "run_dir", "model_dir", "objective", "num_blocks", "split_sizes", "test", "seconds",
        "peak_memory_bytes", "mlflow_run_id",
    }  # fmt: skip
    assert set(trained["test"]) >= {
        "mae_years", "mae_mean_baseline_years", "rmse_years", "pearson_r", "r2", "n",
    }  # fmt: skip
    assert set(trained["seconds"]) >= {"preprocess", "train", "evaluate"}


def test_a_person_is_told_the_result_and_where_it_is(holdout):
    lines = dict(line.split(": ", 1) for line in holdout.summary.describe())
    test, run = holdout.summary.test, holdout.folder
    assert lines["held-out error"] == f"{test['mae_years']:.2f} years (MAE, uncorrected, n = 2)"
    assert lines["predicting the training mean"] == f"{test['mae_mean_baseline_years']:.2f} years"
    assert lines["block 3 alone"] == f"{test['mae_years']:.2f} years"
    assert lines["scans"] == "6 train, 2 validation, 2 test; 0 could not be used"
    assert (lines["run_dir"], lines["model"]) == (str(run), str(run / "model"))
    assert lines["report"] == str(run / "report.html")


def test_the_interval_is_told_where_there_is_one_and_folds_are_counted(holdout):
    test = {**holdout.summary.test, "mae_low": 3.0, "mae_high": 5.125}
    sizes = {"fold1": 4, "fold2": 3}
    text = "\n".join(replace(holdout.summary, test=test, split_sizes=sizes).describe())
    assert "(95 % interval 3.00 to 5.12; MAE" in text
    assert "scans: 7 in 2 folds; " in text


def test_the_epochs_that_early_stopping_chose_are_told_where_it_did(holdout):
    stopped = replace(holdout.summary, epochs={"fold1": 7, "final": 6})
    line = "early stopping took the weights of epoch: fold1 7, final 6"
    assert line in stopped.describe()
    assert not any(line.startswith("early") for line in replace(stopped, epochs={}).describe())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ok": 5, "skipped": 0}, "scans: 5; 5 predicted, 0 failed"),
        ({}, "scans: 5; 3 predicted, 0 failed, 2 kept from before"),
        (
            {"failed_before": 1},
            "scans: 5; 3 predicted, 0 failed, 2 kept from before (1 of them failed)",
        ),
    ],
)
def test_a_person_is_told_what_became_of_the_scans(changes, line):
    lines = replace(PREDICTED, **changes).describe()
    assert lines == [line, "time: 1.5 s a scan", "table: p.csv"]
    assert replace(PREDICTED, seconds_per_scan=None).describe()[-1] == "table: p.csv"


CALIBRATION = {
    "training_age_range_years": [20.0, 68.5],
    "training_mean_age_years": 41.0,
    "training_scans": 7,
    "training_sites": ["a", "unknown"],
    "evaluation": "holdout",
    "networks": 1,
    "held_out": {"mae_years": 4.0, "mae_low": None, "mae_high": None, "n": 2,
                 "mae_mean_baseline_years": 9.0},
    "intervals": None,
    "measured_coverage": None,
    "age_line": None,
    "training_space": None,
    "absent": dict.fromkeys(("intervals", "age_line", "training_space"), "too few people"),
}  # fmt: skip


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_model_card_says_what_the_model_is_and_is_not(rule):
    config = tiny_config(objective={"name": rule, "leader_fraction": 1.0})
    text = model_card(config, CALIBRATION, (), {"oslo": {"n": 3.0, "mae_years": 4.5}})
    assert "| oslo | 3 | 4.50 |" in text
    for expected in (RULES[rule], "cnn3d, 3 blocks", "7 of a, unknown", "20.0 to 68.5 years",
                     "4.00 years", "n = 2", "9.00 years", "not a diagnosis"):  # fmt: skip
        assert expected in text
    assert "interval unknown to unknown" in text
    assert "No interval comes with an age: too few people" in text
    assert "None" not in text


def test_the_model_card_tells_how_the_error_was_measured():
    folds = {**CALIBRATION, "evaluation": "kfold"}
    assert "out of fold" in model_card(tiny_config(), folds, (), {})
    assert "not trained on" in model_card(tiny_config(), CALIBRATION, (), {})
    sites = {**CALIBRATION, "evaluation": "leave_one_site_out"}
    assert "saw no scan of it" in model_card(tiny_config(), sites, (), {})


def test_the_model_card_tells_who_answers_and_all_that_has_to_be_known():
    several = {**CALIBRATION, "networks": 5}
    config = tiny_config(inference={"test_time_augmentation": 4})
    text = model_card(config, several, ["One sentence.", "Another."], {})
    assert "the mean of 5 networks, over 4 views of the scan" in text
    assert "\n\nOne sentence.\n\nAnother.\n\n" in text
    assert text.index("Another.") < text.index("Errors are uncorrected")
    assert "| answer | one network |" in model_card(tiny_config(), CALIBRATION, (), {})
