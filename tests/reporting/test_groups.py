import numpy as np
import pytest

from brainage.reporting.groups import age_decades, in_order, metrics_by_group
from brainage.reporting.metrics import age_metrics


def test_each_row_is_the_metrics_of_its_scans_alone():
    age = np.array([20.0, 30, 40, 50, 60, 70])
    predicted = age + np.array([1, -2, 3, -4, 5, 0])
    sites = ["b", "a", "b", None, "b", "a"]
    subjects = list("uvuwxv")
    rows = metrics_by_group(
        sites, age, predicted, subjects=subjects, training_mean_age_years=age / 2
    )
    assert [row.label for row in rows] == ["a", "b", "unknown"]
    chosen = [0, 2, 4]
    assert rows[1].metrics == age_metrics(
        age[chosen],
        predicted[chosen],
        subjects=["u", "u", "x"],
        training_mean_age_years=age[chosen] / 2,
    )


def test_labels_must_fit():
    with pytest.raises(ValueError, match="labels: expected 2 labels, got 1"):
        metrics_by_group(["a"], [1.0, 2.0], [1.0, 2.0])


def test_decades_hold_their_first_year_and_not_the_next():
    assert age_decades([0.0, 3.5, 9.99, 10.0, 89.9, 100.0]) == [
        "0-9",
        "0-9",
        "0-9",
        "10-19",
        "80-89",
        "100-109",
    ]


def test_labels_sort_by_number_and_unknown_last():
    labels = ["unknown", "100-109", "20-29", "site 10", "site 9", "0-9", "20-29", "zoo"]
    assert in_order(labels) == ["0-9", "20-29", "100-109", "site 9", "site 10", "zoo", "unknown"]
