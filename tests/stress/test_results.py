"""Verdicts and what the rows say together, for rows whose answers are known."""

import json

import pytest

from brainage.stress.row import StressRow, judge
from tests.stress.made_up import results, row


@pytest.mark.parametrize(
    ("expected", "delta", "budget", "flags", "verdict"),
    [
        ("same age", 0.9, 1.0, (), "within"),
        ("same age", -1.0, 1.0, ("low_cnr",), "within"),
        ("same age", -1.1, 1.0, (), "over"),
        ("same age", 1.1, 1.0, ("low_cnr",), "flagged"),
        ("refusal or flag", 0.0, None, (), "unnoticed"),
        ("refusal or flag", 9.0, None, ("low_cnr",), "flagged"),
        ("older", -9.0, None, (), "dose"),
    ],
)
def test_a_verdict_weighs_the_change_against_the_budget(expected, delta, budget, flags, verdict):
    assert judge(expected, delta, budget, flags) == verdict


def test_a_refusal_is_a_failure_unless_it_is_what_should_happen():
    assert row("noise", "5%", verdict="refused", delta_years=None).is_failure
    inverted = row(
        "inversion", "a", verdict="refused", delta_years=None, expected="refusal or flag"
    )
    assert not inverted.is_failure


def test_counts_are_those_of_the_rows():
    made = results()
    assert made.num_exceeded == 2  # one over, one unnoticed
    assert made.num_failed == 1
    assert made.num_judged == 7
    assert made.worst is not None
    assert made.worst.level == "12%"


def test_a_perturbation_s_summary_has_its_worst_level():
    noise = next(each for each in results().by_perturbation() if each.perturbation == "noise")
    assert (noise.rows, noise.exceeded, noise.refused) == (3, 1, 1)
    assert noise.max_abs_delta_years == pytest.approx(3.0)
    assert noise.median_abs_delta_years == pytest.approx(2.0)
    assert noise.worst_level == "12%"


def test_a_dose_response_starts_at_the_untouched_scan():
    ventricles, cortex = results().dose_responses()
    assert ventricles.doses == (0.0, 25.0, 50.0)
    assert ventricles.slope == pytest.approx(0.04)
    assert ventricles.spearman == pytest.approx(1.0)
    assert ventricles.is_monotone
    assert not cortex.is_monotone
    assert cortex.spearman == pytest.approx(-1.0)


def test_an_age_that_does_not_move_has_no_rank_correlation():
    flat = [row("cortex", str(d), dose=d, delta_years=0.0, verdict="dose") for d in (1.0, 2.0)]
    (response,) = results(flat).dose_responses()
    assert response.spearman is None
    assert response.is_monotone


def test_the_numbers_are_json_and_a_row_has_its_columns():
    numbers = json.loads(json.dumps(results().to_json(), allow_nan=False))
    assert numbers["verdicts"]["over"] == 1
    assert numbers["rows"][1]["delta_years"] == 0.1235
    cells = StressRow.cells(row("noise", "5%", delta_years=0.5, flags=("a", "b")))
    assert "0.5" in cells
    assert "a b" in cells
