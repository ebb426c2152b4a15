"""What held-out predictions say of a model: its line, its intervals and how often they hold."""

import json

import numpy as np
import pytest

from brainage.bundle.age_line import AgeLine, fit_age_line
from brainage.bundle.honest_numbers import (
    fit_honest_numbers,
    intervals_of_others,
    one_scan_each,
)
from brainage.errors import CohortError


def people(n=60, slope=0.6, noise=2.0, spread=20.0, seed=0):
    rng = np.random.default_rng(seed)
    age = 45 + spread * rng.uniform(-1, 1, n)
    return age, 10 + slope * age + rng.normal(0, noise, n)


def test_the_line_is_that_of_least_squares_and_inverting_it_gives_back_the_age():
    age, predicted = people()
    line = fit_age_line(age, predicted)
    slope, intercept = np.polyfit(age, predicted, 1)
    assert (line.slope, line.intercept_years) == pytest.approx((slope, intercept))
    assert line.corrected(line.slope * 50 + line.intercept_years) == pytest.approx(50)


def test_corrected_gaps_of_those_it_was_fitted_on_do_not_move_with_age():
    age, predicted = people()
    line = fit_age_line(age, predicted)
    gap = np.array([line.corrected(each) for each in predicted]) - age
    assert abs(np.corrcoef(predicted - age, age)[0, 1]) > 0.8
    assert abs(np.corrcoef(gap, age)[0, 1]) < 0.3
    assert abs(gap.mean()) < 1e-9


def test_ages_that_are_too_alike_give_an_offset_alone():
    age, predicted = people(spread=8.0)  # a standard deviation of 4.6 years
    line = fit_age_line(age, predicted)
    assert line.slope == 1.0
    assert line.intercept_years == pytest.approx((predicted - age).mean())


def test_a_line_of_few_people_is_refused():
    assert fit_age_line(*people(20)).n == 20
    with pytest.raises(CohortError, match="needs 20 people who were not trained on, got 19"):
        fit_age_line(*people(19))


def test_a_flat_line_is_kept_and_not_inverted():
    found = fit_honest_numbers(*people(slope=0.1, noise=0.5), coverage=0.9, seed=0)
    assert found.age_line is not None
    assert found.age_line.corrected(50.0) is None
    assert "rise by 0.1" in found.absent["corrected_age"]


def test_of_every_subject_one_scan_is_drawn():
    subjects = [name for name in "abcdefgh" for _ in range(4)] + ["z"]
    drawn = [one_scan_each(subjects, seed).tolist() for seed in range(20)]
    for chosen in drawn:
        assert [subjects[index] for index in chosen] == [*"abcdefgh", "z"]
    places = {index % 4 for chosen in drawn for index in chosen[:8]}
    assert places == {0, 1, 2, 3}, "always the same visit would be a choice"
    assert drawn[0] == one_scan_each(subjects, 0).tolist()


def test_the_interval_that_coverage_is_counted_with_does_not_know_the_age_it_is_for():
    age, predicted = people(100)
    low, high = intervals_of_others(age, predicted, 0.9, seed=1)
    moved = age.copy()
    moved[7] += 500
    low_then, high_then = intervals_of_others(moved, predicted, 0.9, seed=1)
    assert (low_then[7], high_then[7]) == (low[7], high[7])
    assert (low_then != low).any() or (high_then != high).any()


def test_coverage_is_measured_overall_and_by_decade():
    found = fit_honest_numbers(*people(300), coverage=0.8, seed=0).as_dict()
    measured = found["measured_coverage"]
    assert 0.74 < measured["coverage"] < 0.88
    assert measured["coverage_low"] < measured["coverage"] < measured["coverage_high"]
    assert [row["ages"] for row in measured["by_age_decade"]] == ["20-29", "30-39", "40-49",
                                                                  "50-59", "60-69"]  # fmt: skip
    assert sum(row["n"] for row in measured["by_age_decade"]) == measured["n"] == 300
    # 80 % of a normal distribution of 2 / slope would be wider: intervals are of raw predictions
    assert found["intervals"]["coverage"] == 0.8
    assert measured["width_years"] > 2 * 1.28 * 2.0


def test_what_is_absent_is_absent_for_a_reason():
    found = fit_honest_numbers(*people(5), coverage=0.9, seed=0).as_dict()
    assert (found["age_line"], found["intervals"], found["measured_coverage"]) == (None,) * 3
    assert set(found["absent"]) == {"age_line", "intervals", "measured_coverage"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_enough_scans_for_an_interval_may_be_too_few_to_measure_it():
    found = fit_honest_numbers(*people(9), coverage=0.9, seed=0)
    assert found.intervals is not None
    assert found.measured is None
    assert "got 8" in found.absent["measured_coverage"]


def test_the_line_stays_what_it_is_in_json():
    line = fit_honest_numbers(*people(), coverage=0.9, seed=0).age_line
    assert isinstance(line, AgeLine)
    assert line.n == 60
