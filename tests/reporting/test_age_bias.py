import numpy as np
import pytest

from brainage.reporting.age_bias import MIN_SUBJECTS_TO_CORRECT, age_bias, corrections

RANDOM = np.random.default_rng(0)
N = 40
AGE = RANDOM.uniform(10, 80, N)
SUBJECTS = [f"sub-{index // 2}" for index in range(N)]  # two scans each


def corrected(predicted, subjects=SUBJECTS, age=AGE):
    return {found.key: found.ages_years for found in corrections(age, predicted, subjects)}


def test_a_planted_line_is_found_exactly():
    bias = age_bias(AGE, 0.8 * AGE + 8, SUBJECTS)
    for estimate, planted in ((bias.slope, -0.2), (bias.intercept_years, 8.0)):
        assert estimate.value == pytest.approx(planted)
        assert [estimate.low, estimate.high] == pytest.approx([planted, planted])


def test_the_interval_of_the_slope_holds_the_planted_one_and_not_zero():
    slope = age_bias(AGE, 0.8 * AGE + 8 + RANDOM.normal(0, 3, N), SUBJECTS).slope
    assert slope.low < -0.2 < slope.high < 0


@pytest.mark.parametrize("key", ["beheshti", "cole"])
def test_a_bias_that_is_a_line_is_taken_out_wholly(key):
    assert corrected(0.8 * AGE + 8)[key] == pytest.approx(AGE)


def test_beheshti_subtracts_the_line_of_the_gap():
    """Worked out anew for one scan, with NumPy's fit to the other folds' subjects."""
    predicted = 0.7 * AGE + 10 + RANDOM.normal(0, 4, N)
    by_age = sorted(set(SUBJECTS), key=lambda name: AGE[[s == name for s in SUBJECTS]].mean())
    fold = {name: place % 5 for place, name in enumerate(by_age)}
    others = np.array([fold[name] != fold[SUBJECTS[7]] for name in SUBJECTS])
    slope, intercept = np.polyfit(AGE[others], (predicted - AGE)[others], 1)
    expected = predicted[7] - (slope * AGE[7] + intercept)
    assert corrected(predicted)["beheshti"][7] == pytest.approx(expected)


def test_no_scan_of_a_subject_shapes_the_line_that_corrects_it():
    predicted = 0.7 * AGE + 10
    other = predicted.copy()
    other[1] += 1000  # the second scan of sub-0
    same = np.isclose(corrected(other)["beheshti"], corrected(predicted)["beheshti"])
    assert same[0]
    assert same.sum() <= N / 5  # of its own fold alone


def test_too_few_subjects_are_not_corrected():
    few = 2 * (MIN_SUBJECTS_TO_CORRECT - 1)
    assert corrected(AGE[:few], SUBJECTS[:few], AGE[:few]) == {}


def test_a_flat_line_is_not_inverted():
    assert set(corrected(np.full(N, 40.0))) == {"beheshti"}


def test_equal_ages_have_no_line():
    age = np.full(N, 30.0)
    assert age_bias(age, AGE, SUBJECTS).slope.value is None
    assert corrected(AGE, age=age) == {}
