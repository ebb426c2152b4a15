import json
from dataclasses import replace

import pytest

from brainage.reporting.evaluation import evaluate_predictions
from tests.reporting.cohort import predicted_scans, repeated_scans


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_predictions(predicted_scans(30) + repeated_scans())


def test_the_numbers_are_plain_json(evaluation):
    numbers = json.loads(json.dumps(evaluation.as_dict(), allow_nan=False))
    assert numbers["overall"]["n"] == 54
    assert set(numbers["by_site"]) == {"north", "south"}
    assert set(numbers["by_sex"]) == {"F", "M", "unknown"}
    assert numbers["age_bias"]["slope"].keys() == {"value", "low", "high"}
    assert set(numbers["corrected_out_of_fold"]) == {"beheshti", "cole"}
    assert numbers["reliability"]["num_pairs"] == 12
    assert "gap_difference_years" not in numbers["reliability"]
    assert numbers["longitudinal_slope"]["num_subjects"] == 12
    assert numbers["coverage"] is None


def test_the_headline_is_not_corrected(evaluation):
    gaps = [scan.predicted_age - scan.age_years for scan in evaluation.predictions]
    expected = sum(abs(gap) for gap in gaps) / len(gaps)
    assert evaluation.metrics.mae_years.value == pytest.approx(expected)
    assert all(entry.metrics.mae_years.value != expected for entry in evaluation.corrected)


def test_groups_sum_up_to_all(evaluation):
    for table in evaluation.groups:
        assert sum(row.metrics.n for row in table.rows) == 54, table.title


def test_the_baseline_is_the_training_mean_only_where_it_is_known_of_all():
    scans = predicted_scans(6)
    found = evaluate_predictions(scans)
    expected = sum(abs(30 - scan.age_years) for scan in scans) / 6
    assert found.mean_of == "the training scans"
    assert found.metrics.mae_mean_baseline_years.value == pytest.approx(expected)


def test_without_a_training_mean_the_others_mean_is_predicted():
    """Ages 10 of one subject, twice, and 40: the others' means are 40, 40 and 10."""
    first, second, third = (
        replace(scan, age_years=age, subject=subject, training_mean_age_years=None)
        for scan, age, subject in zip(predicted_scans(3), (10.0, 10.0, 40.0), "aab", strict=True)
    )
    found = evaluate_predictions((first, second, third))
    assert found.mean_of == "the other subjects here"
    assert found.metrics.mae_mean_baseline_years.value == 30


def test_coverage_needs_an_interval_of_every_scan():
    scans = tuple(
        replace(scan, interval_low=scan.predicted_age - 5, interval_high=scan.predicted_age + 5)
        for scan in predicted_scans(6)
    )
    assert evaluate_predictions(scans, nominal_coverage=0.9).coverage.nominal == 0.9
    assert evaluate_predictions((*scans[:5], predicted_scans(6)[5])).coverage is None
