"""Tables of predictions, whoever wrote them: read, or refused with the row and the reason."""

import pytest

from brainage.errors import ManifestError
from brainage.workflows.evaluate.table import read_predictions
from tests.workflows.tiny import write_table

COLUMNS = ("scan", "subject", "age_years", "predicted_age")
ROWS = [["a.nii", "sub-1", "30", "33.5"], ["b.nii", "sub-2", "40,5", "-1"]]


def table(path, rows=ROWS, columns=COLUMNS):
    return write_table(path / "predictions.csv", rows, columns)


def test_four_columns_are_enough(tmp_path):
    found = read_predictions(table(tmp_path))
    assert [(scan.age_years, scan.predicted_age) for scan in found.scans] == [
        (30.0, 33.5),
        (40.5, -1.0),
    ]
    assert found.scans[0].site is None
    assert found.failed == ()


def test_what_other_columns_say_is_kept(tmp_path):
    extra = {"session": "ses-1", "sex": "F", "site": "here", "fold": 2, "coverage": 0.9,
             "training_mean_age_years": 31.5, "interval_low": 20, "interval_high": 40,
             "model_hash": "abc"}  # fmt: skip
    rows = [[*row, *extra.values()] for row in ROWS]
    found = read_predictions(table(tmp_path, rows, (*COLUMNS, *extra)))
    scan = found.scans[1]
    assert (scan.session, scan.sex, scan.site, scan.fold) == ("ses-1", "F", "here", 2)
    assert (scan.interval_low, scan.interval_high) == (20, 40)
    assert scan.training_mean_age_years == 31.5
    assert (found.model, found.nominal_coverage) == ("abc", 0.9)


def test_a_failed_row_is_kept_with_its_reason(tmp_path):
    columns = (*COLUMNS, "status", "stage", "reason")
    rows = [[*ROWS[0], "ok", "", ""], ["b.nii", "sub-2", "", "", "failed", "read", "no scan"]]
    (failed,) = read_predictions(table(tmp_path, rows, columns)).failed
    assert (failed.scan, failed.stage, failed.reason) == ("b.nii", "read", "no scan")


def test_predictions_without_a_model_are_known_by_themselves(tmp_path):
    first = read_predictions(table(tmp_path)).model
    assert first == read_predictions(table(tmp_path, ROWS[::-1])).model
    assert first != read_predictions(table(tmp_path, [["a.nii", "sub-1", 30, 33.6]])).model


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age_years": ""}, "row 2: age_years: expected an age in years, got ''"),
        ({"age_years": "old"}, "row 2: age_years: "),
        ({"predicted_age": "x"}, "row 2: predicted_age: expected a number, got 'x'"),
        ({"predicted_age": "inf"}, "row 2: predicted_age: expected a number, got 'inf'"),
        ({"subject": ""}, "row 2: subject: expected a name"),
        ({"scan": "b.nii"}, r"b\.nii has several rows"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(tmp_path, changed, message):
    row = {**dict(zip(COLUMNS, ROWS[0], strict=True)), **changed}
    with pytest.raises(ManifestError, match=message):
        read_predictions(table(tmp_path, [row.values(), ROWS[1]]))


def test_a_table_of_something_else_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="the column age_years is missing; got scan, subject"):
        read_predictions(table(tmp_path, [["a", "b"]], ("scan", "subject")))


def test_rows_of_two_models_are_refused(tmp_path):
    rows = [[*row, name] for row, name in zip(ROWS, ("m1", "m2"), strict=True)]
    with pytest.raises(ManifestError, match="of one model, got rows of 2: m1, m2"):
        read_predictions(table(tmp_path, rows, (*COLUMNS, "model_hash")))


def test_a_table_without_a_prediction_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="none of its 1 row has a prediction"):
        read_predictions(table(tmp_path, [["a.nii", "sub-1", "30", ""]]))


def test_a_fold_is_a_whole_number(tmp_path):
    rows = [[*row, fold] for row, fold in zip(ROWS, ("1", "1.5"), strict=True)]
    with pytest.raises(ManifestError, match=r"fold: expected a whole number, got '1\.5'"):
        read_predictions(table(tmp_path, rows, (*COLUMNS, "fold")))


def test_a_prediction_beyond_any_age_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="predicted_age: expected years, got '1e300'"):
        read_predictions(table(tmp_path, [[*ROWS[0][:3], "1e300"], ROWS[1]]))
