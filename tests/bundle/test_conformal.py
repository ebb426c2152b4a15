"""Intervals hold as many ages as they say, whatever the errors look like."""

import numpy as np
import pytest

from brainage.bundle.conformal import LEAST_IN_BIN, fewest_scans, fit_intervals
from brainage.errors import CohortError


def residual_intervals(residuals, coverage=0.9):
    predicted = np.full(len(residuals), 40.0)
    return fit_intervals(predicted + residuals, predicted, coverage)


def test_the_ends_are_order_statistics_with_one_scan_more_than_there_are():
    (only,) = residual_intervals(np.arange(1.0, 40.0)).bins  # 39: ranks 2 and 38 of 40
    assert (only.low_years, only.high_years, only.n) == (2.0, 38.0, 39)


def test_both_tails_need_nineteen_scans_and_fewer_share_one():
    (two,) = residual_intervals(np.arange(1.0, 20.0)).bins
    assert (two.low_years, two.high_years) == (1.0, 19.0)
    (one,) = residual_intervals(np.arange(-3.0, 15.0)).bins  # 18: rank ceil(19 * 0.9) = 18
    assert (one.low_years, one.high_years) == (-14.0, 14.0)


def test_too_few_scans_for_any_interval_are_refused_with_the_number_needed():
    assert residual_intervals(np.arange(9.0)).bins[0].high_years == 8.0
    with pytest.raises(CohortError, match=r"holds 90% of ages needs 9 people .* got 8"):
        residual_intervals(np.arange(8.0))
    assert [fewest_scans(c, two_tails=True) for c in (0.5, 0.9, 0.95, 0.99)] == [3, 19, 39, 199]


def skewed(n, rng):
    """Errors that grow with age, skewed and biased."""
    age = rng.uniform(5, 80, n)
    predicted = age + (rng.exponential(1.0, n) - 0.3) * age / 10
    return age, predicted


@pytest.mark.parametrize("n", [25, 120, 400])
def test_new_people_lie_in_their_interval_as_often_as_it_says(n):
    rng = np.random.default_rng(3)
    held = []
    for _ in range(150):
        fitted = fit_intervals(*skewed(n, rng), 0.9)
        for age, predicted in zip(*skewed(20, rng), strict=True):
            interval = fitted.of(predicted)
            held.append(interval.low_years <= age <= interval.high_years)
    # at least 0.9, and at most two ranks more in every bin
    assert 0.885 <= np.mean(held) <= 0.9 + 2 / min(n, LEAST_IN_BIN) + 0.015


def test_bins_of_predicted_age_make_intervals_as_wide_as_errors_are_there():
    fitted = fit_intervals(*skewed(400, np.random.default_rng(3)), 0.9)
    widths = [each.high_years - each.low_years for each in fitted.bins]
    assert len(fitted.bins) == 8
    assert widths[-1] > 3 * widths[0]


@pytest.mark.parametrize(
    ("n", "coverage", "bins"), [(79, 0.9, 1), (80, 0.9, 2), (300, 0.99, 1), (400, 0.99, 2)]
)
def test_there_are_bins_only_where_every_one_has_enough_scans(n, coverage, bins):
    predicted = np.linspace(5, 80, n)
    fitted = fit_intervals(predicted + 1, predicted, coverage)
    assert len(fitted.bins) == bins
    assert sum(each.n for each in fitted.bins) == n
    assert min(each.n for each in fitted.bins) >= min(n, LEAST_IN_BIN)


def test_a_scan_is_counted_in_the_bin_that_answers_for_it():
    predicted = np.repeat([10.0, 30.0], [50, 70])  # the second bin begins at 30.0 itself
    fitted = fit_intervals(predicted + np.where(predicted < 20, 1.0, 9.0), predicted, 0.9)
    assert fitted.of(10.0).low_years == 11.0
    assert fitted.of(30.0).low_years == 39.0


def test_equal_predictions_are_not_torn_into_bins():
    assert len(residual_intervals(np.arange(200.0)).bins) == 1


def test_nobody_is_younger_than_nothing():
    interval = residual_intervals(np.linspace(-90, -50, 30)).of(2.0)
    assert (interval.low_years, interval.high_years) == (0.0, 0.0)
