import pytest

from brainage.errors import CohortError
from pipelines.paired_difference import paired_difference


def write_run(folder, gaps, fold="1"):
    folder.mkdir()
    rows = [f"s{i}.nii,p{i},{fold},30,{30 + gap},31\n" for i, gap in enumerate(gaps)]
    header = "scan,subject,fold,age_years,predicted_age,ensemble_predicted_age\n"
    (folder / "held_out_predictions.csv").write_text(header + "".join(rows))
    return folder


def test_the_difference_is_of_absolute_gaps_and_lies_in_its_interval(tmp_path):
    first = write_run(tmp_path / "a", [-4, 2, -3, 5])
    second = write_run(tmp_path / "b", [1, -1, 2, 2])
    found = paired_difference(first, second)
    assert (found["n"], found["difference_years"]) == (4, 2.0)
    assert 1.0 <= found["low"] < 2.0 < found["high"] <= 3.0


def test_runs_on_other_folds_are_not_compared(tmp_path):
    first = write_run(tmp_path / "a", [1, 2])
    second = write_run(tmp_path / "b", [1, 2], fold="2")
    with pytest.raises(CohortError, match="same scans in the same folds"):
        paired_difference(first, second)


def test_another_answer_of_a_run_can_be_compared(tmp_path):
    run = write_run(tmp_path / "a", [3, -3])
    assert paired_difference(run, run, ("last", "ensemble"))["difference_years"] == 2.0
    with pytest.raises(CohortError, match="has no column block7_predicted_age"):
        paired_difference(run, run, ("last", "block7"))
