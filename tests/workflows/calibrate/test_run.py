"""Calibrating changes what is said of a prediction, never the prediction."""

import json

import numpy as np
import pytest

from brainage.bundle.files import WEIGHTS
from brainage.bundle.golden import replay_golden
from brainage.bundle.load import load_bundle
from brainage.errors import CohortError, ManifestError, RunFolderError
from brainage.workflows.calibrate.run import calibrate
from brainage.workflows.evaluate.checks import Consent
from brainage.workflows.evaluate.run import evaluate_scans
from tests.workflows.tiny import COLUMNS, read_table, write_table


def test_the_networks_and_the_raw_prediction_stay(calibrated, local):
    before, after = load_bundle(calibrated.base), load_bundle(calibrated.out)
    weights = [(folder / WEIGHTS).read_bytes() for folder in (calibrated.base, calibrated.out)]
    assert weights[0] == weights[1]
    volume = np.random.default_rng(0).normal(size=before.input_shape[1:]).astype(np.float32)
    assert after.predict(volume).age_years == before.predict(volume).age_years
    assert after.model_hash != before.model_hash
    assert after.preprocessing_hash == before.preprocessing_hash
    golden = [json.loads((folder / "golden/expected.json").read_text())["predicted_age_years"]
              for folder in (calibrated.base, calibrated.out)]  # fmt: skip
    assert golden[0] == golden[1]
    assert replay_golden(after).agrees


def test_the_model_says_where_its_numbers_come_from(calibrated, local):
    calibration = load_bundle(calibrated.out).calibration
    noted = calibration["calibrated_on"]
    assert (noted["what"], noted["site"], noted["n"]) == ("controls", "oslo", 24)
    assert noted["age_range_years"] == [21.0, 67.0]
    assert noted["base_model_hash"] == load_bundle(calibrated.base).model_hash
    assert calibration["training_age_range_years"] == [20.0, 44.0], "of the training, as before"
    card = (calibrated.out / "MODEL_CARD.md").read_text()
    assert card.startswith((calibrated.base / "MODEL_CARD.md").read_text().rstrip())
    assert "## Calibrated at oslo" in card
    assert "24 controls of 21.0 to 67.0 years" in card


def test_line_and_intervals_are_those_of_the_controls(calibrated):
    rows = read_table(calibrated.beside / "predictions.csv")
    age, predicted = (np.array([float(row[name]) for row in rows])
                      for name in ("age_years", "predicted_age"))  # fmt: skip
    bundle = load_bundle(calibrated.out)
    slope, intercept = np.polyfit(age, predicted, 1)
    # the table has four decimals
    assert bundle.age_line.slope == pytest.approx(slope, abs=1e-4)
    assert bundle.age_line.intercept_years == pytest.approx(intercept, abs=1e-2)
    assert bundle.age_line.n == bundle.intervals.bins[0].n == 24
    residuals = np.sort(age - predicted)
    assert bundle.intervals.bins[0].low_years == pytest.approx(residuals[0], abs=1e-3)
    assert load_bundle(calibrated.base).age_line is None


def test_before_and_after_are_reported_with_intervals(calibrated):
    told = json.loads((calibrated.beside / "calibration_report.json").read_text())
    assert told == calibrated.summary.to_json()
    rows = read_table(calibrated.beside / "predictions.csv")
    error = np.mean([abs(float(r["predicted_age"]) - float(r["age_years"])) for r in rows])
    assert told["ages"][0]["name"] == "raw"
    assert told["ages"][0]["mae_years"]["value"] == pytest.approx(error, abs=1e-3)
    assert told["ages"][0]["mae_change_years"]["value"] == 0.0
    assert told["intervals"][-1]["name"] == "local, out of fold"
    assert told["intervals"][-1]["coverage"]["low"] is not None
    page = (calibrated.beside / "report.html").read_text()
    assert "Controls should be\nhealthy" in page
    assert (calibrated.beside / "figures" / "gap_and_age.png").stat().st_size > 0


def test_nobody_s_name_is_in_the_model(calibrated):
    files = [path for path in calibrated.out.rglob("*") if path.is_file()]
    assert not [path for path in files if b"sub-local" in path.read_bytes()]
    assert {path.name for path in calibrated.out.parent.iterdir()} == {"mymodel", "mymodel-report"}


def test_the_controls_can_no_longer_judge_the_model(calibrated, local, tmp_path):
    with pytest.raises(CohortError, match="24 of 24 scans were used in the training of "):
        evaluate_scans(
            local.manifest, model=str(calibrated.out), out=tmp_path / "out", how=local.how,
            consent=Consent(),
        )  # fmt: skip


def refused(local, holdout, source, out):
    return calibrate(source, model=str(holdout.summary.model_dir), out=out, how=local.how)


def test_fewer_than_twenty_people_are_refused_before_anything_is_predicted(
    local, holdout, tmp_path
):
    few = local.table(tmp_path / "few.csv", local.rows[:19])
    with pytest.raises(CohortError, match=r"needs 20 people, got 19 \(19 scans\)"):
        refused(local, holdout, few, tmp_path / "m2")
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


def test_scans_that_fail_do_not_count(local, holdout, tmp_path):
    rows = [[local.folder / str(row[0]), *row[1:]] for row in local.rows[:20]]
    (tmp_path / "broken.nii").write_bytes(b"no scan")
    rows[3][0] = tmp_path / "broken.nii"
    source = write_table(tmp_path / "one_bad.csv", rows, COLUMNS)
    with pytest.raises(CohortError, match=r"got 19 \(20 scans, 1 of which could not be used\)"):
        refused(local, holdout, source, tmp_path / "m2")
    assert len(read_table(tmp_path / "m2-report" / "predictions.csv")) == 20
    assert not (tmp_path / "m2").exists()


def test_scans_of_the_training_are_refused(local, holdout, cohort, tmp_path):
    rows = [*local.rows, [cohort.scan("sub-planted0"), "sub-new", 20.0, "F", "oslo"]]
    source = local.table(tmp_path / "leak.csv", rows)
    with pytest.raises(CohortError, match=r"1 of 25 scans was used in the training"):
        refused(local, holdout, source, tmp_path / "m2")


def test_scans_without_an_age_are_refused(local, holdout, tmp_path):
    rows = [*local.rows[:-1], [*local.rows[-1][:2], "", "F", "oslo"]]
    with pytest.raises(ManifestError, match="age"):
        refused(local, holdout, local.table(tmp_path / "ageless.csv", rows), tmp_path / "m2")


def test_what_is_there_is_not_replaced(local, holdout, tmp_path):
    (tmp_path / "m2").mkdir()
    with pytest.raises(RunFolderError, match=r"m2: is there already; give --out"):
        refused(local, holdout, local.manifest, tmp_path / "m2")
