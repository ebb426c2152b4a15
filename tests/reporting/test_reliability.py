import numpy as np
import pytest

from brainage.reporting.reliability import (
    closest_pairs,
    intraclass_correlations,
    longitudinal_slope,
    reliability,
)

# Shrout and Fleiss 1979, table 2: six targets, four judges; table 4: ICC(2,1) and ICC(3,1).
RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    dtype=np.float64,
)
TWO_EACH = ["a", "a", "b", "b", "c", "c", "d", "d"]


def test_the_published_example_of_the_icc():
    agreement, consistency = intraclass_correlations(np.ones((1, 6)), RATINGS)
    assert round(float(agreement[0]), 2) == 0.29
    assert round(float(consistency[0]), 2) == 0.71


def test_a_weight_is_how_often_a_subject_counts():
    weights = np.array([[2.0, 0, 1, 1, 3, 1]])
    rows = np.repeat(RATINGS, weights[0].astype(int), axis=0)
    weighted = intraclass_correlations(weights, RATINGS)
    repeated = intraclass_correlations(np.ones((1, len(rows))), rows)
    assert np.ravel(weighted) == pytest.approx(np.ravel(repeated))


def test_the_two_scans_closest_in_age_make_a_pair_the_younger_first():
    age = np.array([40.0, 20, 30, 50, 31, 24, 50])
    groups = np.array([0, 0, 1, 2, 0, 0, 2])
    # of 20, 24, 31 and 40 years the first two; scan 2 stands alone; of equal ages the first one
    assert closest_pairs(age, groups).tolist() == [[1, 5], [3, 6]]


def test_agreement_of_gaps_by_hand():
    """Differences of the gaps: 1, -1, 2 and 2 years; the time between the scans is taken out."""
    age = np.array([20.0, 21, 30, 32, 40, 40, 50, 55])
    gap = np.array([0.0, 1, 5, 4, -3, -1, 2, 4])
    found = reliability(age, age + gap, TWO_EACH)
    assert found.num_pairs == 4
    assert found.gap_difference_years.tolist() == [1, -1, 2, 2]
    assert found.mean_difference_years.value == 1
    assert found.absolute_difference_years.value == 1.5
    deviation = np.sqrt(2.0)
    assert found.limit_low_years.value == pytest.approx(1 - 1.96 * deviation)
    assert found.limit_high_years.value == pytest.approx(1 + 1.96 * deviation)
    assert found.years_between_median == 1.5
    assert found.years_between_max == 5
    assert found.mean_difference_years.low < 1 < found.mean_difference_years.high


def test_a_constant_shift_of_second_scans_harms_agreement_but_not_consistency():
    age = np.repeat([20.0, 35, 50, 70], 2)
    gap = np.array([0.0, 4, 6, 10, -5, -1, 2, 6])
    found = reliability(age, age + gap, TWO_EACH)
    assert found.icc_3_1_gap.value == pytest.approx(1)
    assert found.icc_2_1_gap.value < 0.85


def test_predicted_ages_agree_better_than_gaps_where_ages_differ():
    age = np.repeat([20.0, 35, 50, 70], 2)
    gap = np.array([0.0, 3, -2, 1, 1, -2, 2, 0])
    found = reliability(age, age + gap, TWO_EACH)
    assert found.icc_2_1_predicted_age.value > 0.98
    assert found.icc_2_1_gap.value < 0.5


def test_fewer_than_three_subjects_with_several_scans_say_nothing():
    age = np.array([20.0, 21, 30, 31, 40, 50])
    subjects = ["a", "a", "b", "b", "c", "d"]
    assert reliability(age, age, subjects) is None
    assert longitudinal_slope(age, age, subjects) is None


def test_the_slope_within_subjects_is_not_that_between_them():
    """Between subjects predicted age moves by half a year per year, within them by two."""
    start = np.array([20.0, 40, 60, 80])
    age = np.stack([start, start + 1, start + 3], axis=1).ravel()
    predicted = np.stack([start / 2, start / 2 + 2, start / 2 + 6], axis=1).ravel()
    found = longitudinal_slope(age, predicted, np.repeat(list("abcd"), 3).tolist())
    assert (found.num_subjects, found.num_scans) == (4, 12)
    slope = found.years_per_year
    assert [slope.value, slope.low, slope.high] == pytest.approx([2, 2, 2])


def test_scans_of_one_day_have_no_slope():
    age = np.array([20.0, 20, 30, 30.1, 40, 40, 50, 50.2])
    assert longitudinal_slope(age, age, TWO_EACH) is None
    assert reliability(age, age, TWO_EACH) is not None
