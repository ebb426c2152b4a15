import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from brainage.reporting.metrics import STATISTICS, age_metrics
from brainage.reporting.resampling import bootstrap_weights, weighted_correlation, weighted_ranks

AGES = st.floats(min_value=1, max_value=100, width=32)


@st.composite
def cohorts(draw, min_size=3):
    n = draw(st.integers(min_size, 30))
    age = draw(arrays(np.float64, n, elements=AGES))
    predicted = draw(arrays(np.float64, n, elements=AGES))
    return age, predicted


def well_spread(x) -> bool:
    return float(np.std(x)) > 1e-3


@given(cohorts())
def test_values_agree_with_independent_formulas(cohort):
    age, predicted = cohort
    metrics = age_metrics(age, predicted, training_mean_age_years=40.0, num_resamples=5)
    gap = [p - a for p, a in zip(predicted, age, strict=True)]
    n = len(gap)
    expected = {
        "mae_years": sum(abs(g) for g in gap) / n,
        "rmse_years": math.sqrt(sum(g * g for g in gap) / n),
        "mean_gap_years": sum(gap) / n,
        "mae_mean_baseline_years": sum(abs(40 - a) for a in age) / n,
    }
    expected["mae_gain_over_mean_years"] = (
        expected["mae_mean_baseline_years"] - expected["mae_years"]
    )
    if well_spread(age):
        expected["r2"] = 1 - sum(g * g for g in gap) / sum((a - np.mean(age)) ** 2 for a in age)
        expected["mae_over_range"] = expected["mae_years"] / (max(age) - min(age))
    if well_spread(age) and well_spread(predicted):
        expected["pearson_r"] = stats.pearsonr(age, predicted)[0]
    if well_spread(age) and well_spread(gap):
        expected["pearson_gap_age"] = stats.pearsonr(age, gap)[0]
        expected["spearman_gap_age"] = stats.spearmanr(age, gap)[0]
    for name, value in expected.items():
        found = getattr(metrics, name).value
        assert found == pytest.approx(value, rel=1e-6, abs=1e-6), name
    assert (metrics.n, metrics.age_min_years, metrics.age_max_years) == (n, min(age), max(age))


@given(cohorts(min_size=8), st.integers(0, 1000))
def test_each_resample_is_the_statistic_of_the_scans_drawn(cohort, seed):
    """One bootstrap row, drawn out scan by scan, against scipy on the drawn scans."""
    x, y = cohort
    (weights,) = bootstrap_weights(np.arange(len(x)), 3, seed)
    ranks = weighted_correlation(weights, weighted_ranks(x, weights), weighted_ranks(y, weights))
    plain = weighted_correlation(weights, x, y)
    for row in range(3):
        drawn = np.repeat(np.arange(len(x)), weights[row].astype(int))
        assert len(drawn) == len(x)
        if well_spread(x[drawn]) and well_spread(y[drawn]):
            assert plain[row] == pytest.approx(stats.pearsonr(x[drawn], y[drawn])[0], abs=1e-6)
            assert ranks[row] == pytest.approx(stats.spearmanr(x[drawn], y[drawn])[0], abs=1e-6)


def cohort_of(n: int, seed: int = 0):
    random = np.random.default_rng(seed)
    age = random.uniform(5, 80, n)
    return age, age + random.normal(0, 5, n)


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    age, predicted = cohort_of(40)
    first = age_metrics(age, predicted, seed=1)
    assert age_metrics(age, predicted, seed=1) == first
    assert age_metrics(age, predicted, seed=2).mae_years != first.mae_years


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 5 * math.sqrt(2 / math.pi)
    covered = 0
    for seed in range(200):
        mae = age_metrics(*cohort_of(50, seed), num_resamples=300, seed=seed).mae_years
        covered += mae.low <= truth <= mae.high
    assert 0.88 <= covered / 200 <= 0.99


def test_portions_hold_the_same_resamples_as_one_piece(monkeypatch):
    groups = np.array([0, 1, 1, 2, 3])
    (whole,) = bootstrap_weights(groups, 50, seed=3)
    monkeypatch.setattr("brainage.reporting.resampling.WEIGHTS_AT_ONCE", 60)
    portions = list(bootstrap_weights(groups, 50, seed=3))
    assert len(portions) == 5
    assert np.array_equal(np.concatenate(portions), whole)


def test_scans_of_one_subject_are_drawn_together():
    """Ten copies of each scan say no more than one: intervals by subject do not shrink."""
    age, predicted = cohort_of(20)
    once = age_metrics(age, predicted)
    names = [f"sub-{index}" for index in range(20)]
    copies = age_metrics(np.tile(age, 10), np.tile(predicted, 10), subjects=names * 10)
    alone = age_metrics(np.tile(age, 10), np.tile(predicted, 10))

    def width(metrics):
        return metrics.mae_years.high - metrics.mae_years.low

    assert copies.num_subjects == 20
    assert width(copies) == pytest.approx(width(once), rel=0.15)
    assert width(alone) < 0.5 * width(once)


def test_the_gain_over_the_mean_is_paired():
    """Its interval is that of the differences, not of two independent errors."""
    age, _ = cohort_of(40)
    gain = age_metrics(age, np.full(40, 42.5), training_mean_age_years=42.0)
    assert gain.mae_gain_over_mean_years.high - gain.mae_gain_over_mean_years.low < 0.5
    assert gain.mae_years.high - gain.mae_years.low > 3


CORRELATIONS = ("pearson_r", "r2", "pearson_gap_age", "spearman_gap_age")


@pytest.mark.parametrize(
    ("age", "predicted", "undefined"),
    [
        ([], [], STATISTICS),
        ([30.0], [32.0], (*CORRELATIONS, "mae_over_range")),
        ([30.0, 40.0], [32.0, 39.0], CORRELATIONS),
        ([30.0] * 5, [31.0, 32.0, 33.0, 34.0, 35.0], (*CORRELATIONS, "mae_over_range")),
        ([10.0, 20.0, 30.0, 40.0], [25.0] * 4, ("pearson_r",)),
        ([10.0, 20.0, 30.0, 40.0, 50.0, 60.0], [25.1] * 6, ("pearson_r",)),
        (
            [10.1, 20.2, 30.3, 40.7],
            [13.4, 23.5, 33.6, 44.0],
            ("pearson_gap_age", "spearman_gap_age"),
        ),
    ],
    ids=[
        "none",
        "one",
        "two",
        "one age",
        "constant prediction",
        "rounded constant",
        "constant gap",
    ],
)
def test_what_the_data_do_not_define_is_none(age, predicted, undefined):
    metrics = age_metrics(age, predicted, training_mean_age_years=25.0)
    found = {name for name in STATISTICS if getattr(metrics, name).value is None}
    assert found == set(undefined)


def test_two_subjects_have_no_interval():
    metrics = age_metrics([20.0, 21, 30, 31], [1.0, 2, 3, 4], subjects=["a", "a", "b", "b"])
    assert metrics.mae_years.value is not None
    assert metrics.mae_years.low is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("column", ["age_years", "predicted_age", "training_mean_age_years"])
def test_a_number_that_is_not_finite_is_named(bad, column):
    columns = {
        "age_years": [1.0, 2.0, 3.0],
        "predicted_age": [1.0, 2.0, 3.0],
        "training_mean_age_years": [1.0, 2.0, 3.0],
    }
    columns[column][1] = bad
    with pytest.raises(ValueError, match=rf"{column}: expected finite numbers, got {bad} at 1"):
        age_metrics(**columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predicted_age": [1.0]}, "predicted_age: expected shape"),
        ({"subjects": ["a"]}, "subjects: expected 2 names, got 1"),
        ({"training_mean_age_years": [1.0, 2.0, 3.0]}, "training_mean_age_years: expected"),
        ({"age_years": [[1.0, 2.0]]}, "age_years: expected one dimension"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, message):
    columns = {"age_years": [1.0, 2.0], "predicted_age": [1.0, 2.0]}
    with pytest.raises(ValueError, match=message):
        age_metrics(**(columns | change))


def test_the_flat_names_are_those_of_the_json_summary():
    flat = age_metrics(*cohort_of(10), training_mean_age_years=40.0).as_dict()
    promised = {
        "n",
        "mae_years",
        "mae_low",
        "mae_high",
        "mae_mean_baseline_years",
        "rmse_years",
        "pearson_r",
        "r2",
        "spearman_gap_age",
        "mean_gap_years",
    }
    assert promised <= set(flat)
    assert flat["mae_low"] < flat["mae_years"] < flat["mae_high"]
