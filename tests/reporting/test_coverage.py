import numpy as np
import pytest

from brainage.reporting.coverage import interval_coverage


def test_coverage_and_width_by_hand():
    age = [12.0, 15, 18, 33, 35]
    low = [10.0, 16, 17, 30, 30]
    high = [12.0, 20, 19, 34, 34]
    found = interval_coverage(age, low, high, nominal=0.9, subjects=list("abcde"))
    assert found.nominal == 0.9
    assert found.overall.coverage.value == pytest.approx(3 / 5)
    assert found.overall.width_years.value == pytest.approx((2 + 4 + 2 + 4 + 4) / 5)
    rows = {row.label: (row.n, row.coverage.value) for row in found.by_age}
    assert rows == {"10-19": (3, pytest.approx(2 / 3)), "30-39": (2, pytest.approx(1 / 2))}


def test_scans_of_one_subject_are_drawn_together():
    """Ten subjects of ten equal scans say as much as ten scans."""
    inside = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    age = np.where(inside, 30.0, 50.0)
    ten = interval_coverage(
        age,
        np.full(10, 20.0),
        np.full(10, 40.0),
        nominal=None,
        subjects=[f"s{i}" for i in range(10)],
    )
    hundred = interval_coverage(
        np.repeat(age, 10),
        np.full(100, 20.0),
        np.full(100, 40.0),
        nominal=None,
        subjects=[f"s{i // 10}" for i in range(100)],
    )
    assert hundred.overall.coverage == ten.overall.coverage
