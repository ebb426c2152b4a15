import numpy as np
import pytest

from brainage.reporting.comparison_statistics import (
    mean_over_seeds,
    mean_with_interval,
    paired_difference,
)


def test_a_difference_worked_out_by_hand():
    """Three subjects with differences 1, 2 and 6.

    Of the 27 equally likely draws one has the first subject three times and one the third, 3.7 %
    each. So the lowest 2.5 % are all 1 and the highest all 6.
    """
    a, b = [4.0, 7.0, 9.0], [3.0, 5.0, 3.0]
    found = paired_difference(a, b, ["p", "q", "r"])
    assert (found.value, found.low, found.high) == (3.0, 1.0, 6.0)
    back = paired_difference(b, a, ["p", "q", "r"])
    assert (back.value, back.low, back.high) == (-3.0, -6.0, -1.0)


def test_scans_of_one_subject_are_drawn_together():
    """Whoever is drawn brings both scans, so no draw has a mean beyond the subjects' own means."""
    errors = [0.0, 8.0, 1.0, 7.0, 2.0, 6.0]
    together = mean_with_interval(errors, ["p", "p", "q", "q", "r", "r"])
    assert (together.value, together.low, together.high) == (4.0, 4.0, 4.0)
    apart = mean_with_interval(errors, list("pqrstu"))
    assert apart.low < 3.0
    assert apart.high > 5.0


def test_what_is_hard_for_both_cancels():
    random = np.random.default_rng(0)
    hard = random.uniform(0, 20, 60)
    better = hard + 0.3 + random.normal(0, 0.1, 60)
    subjects = [str(index) for index in range(60)]
    paired = paired_difference(better, hard, subjects)
    alone = mean_with_interval(hard, subjects)
    assert paired.high - paired.low < 0.1
    assert alone.high - alone.low > 2


def test_errors_of_a_scan_are_averaged_over_the_seeds_that_tested_it():
    errors = [[1.0, np.nan, 5.0], [3.0, 4.0, np.nan]]
    assert mean_over_seeds(errors).tolist() == [2.0, 4.0, 5.0]


def test_too_few_subjects_have_no_interval_and_other_lengths_are_refused():
    found = paired_difference([1.0, 2.0], [0.0, 0.0], ["p", "q"])
    assert (found.value, found.low, found.high) == (1.5, None, None)
    with pytest.raises(ValueError, match=r"errors_b: expected shape \(2,\), got \(1,\)"):
        paired_difference([1.0, 2.0], [1.0], ["p", "q"])
    with pytest.raises(ValueError, match="subjects: expected 2 names, got 1"):
        mean_with_interval([1.0, 2.0], ["p"])
