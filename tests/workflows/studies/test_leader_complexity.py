import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from brainage.config.studies import LeaderComplexityConfig, study_from
from brainage.errors import ConfigError
from brainage.reporting.complexity_figures import correlation_words, leaders_figure
from brainage.workflows.studies.leader_complexity import (
    SweptFit,
    leaders_needed,
    rank_correlation,
    run_leader_complexity,
)


def swept(fraction, seed, **errors):
    by_class = {int(name[1:]): error for name, error in errors.items()}
    return SweptFit(leader_fraction=fraction, seed=seed, error_percent_by_class=by_class)


FITS = [
    swept(0.1, 0, c0=2.0, c1=9.0, c2=None),
    swept(0.1, 1, c0=4.0, c1=7.0, c2=None),
    swept(0.5, 0, c0=3.0, c1=1.0, c2=1.0),
    swept(0.5, 1, c0=3.0, c1=5.0, c2=1.0),
    swept(1.0, 0, c0=5.0, c1=3.0, c2=0.0),
    swept(1.0, 1, c0=5.0, c1=3.0, c2=0.0),
]


def test_the_best_fraction_is_that_of_the_mean_error_and_ties_go_to_fewer_leaders():
    first, second = leaders_needed(FITS, num_workers=32)
    assert (first.label, first.fraction, first.leaders) == (0, 0.1, 4)
    assert (second.label, second.fraction, second.leaders) == (1, 0.5, 16)
    assert second.error_percent == {0.1: 8.0, 0.5: 3.0, 1.0: 3.0}


def test_a_sweep_has_two_fractions():
    with pytest.raises(ConfigError, match="two fractions"):
        leaders_needed(FITS[:2], num_workers=32)


def test_the_correlation_is_spearmans_with_an_interval_around_it():
    generator = np.random.default_rng(0)
    a = generator.normal(size=40)
    b = np.round(2 * (a + 0.5 * generator.normal(size=40)), 0)
    found = rank_correlation(a.tolist(), b.tolist(), num_resamples=500, seed=0)
    expected = spearmanr(a, b)
    assert found["spearman"] == pytest.approx(expected.statistic, abs=1e-4)
    assert found["low"] < found["spearman"] < found["high"]
    assert found["p_permutation"] == pytest.approx(1 / 501, abs=1e-6)
    assert found == rank_correlation(a.tolist(), b.tolist(), num_resamples=500, seed=0)


def test_unrelated_numbers_have_a_large_p_and_an_interval_around_zero():
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(2, 60)).tolist()
    found = rank_correlation(a, b, num_resamples=500, seed=0)
    assert found["p_permutation"] > 0.05
    assert found["low"] < 0 < found["high"]


@pytest.mark.parametrize("numbers", [([1.0, 2.0, 3.0], [4.0, 4.0, 4.0]), ([1.0, 2.0], [1.0, 2.0])])
def test_too_little_to_correlate_has_no_number(numbers):
    found = rank_correlation(*numbers, num_resamples=10, seed=0)
    assert (found["spearman"], found["classes"]) == (None, len(numbers[0]))
    assert "no correlation" in correlation_words(found)


def test_classes_are_set_against_their_complexity(tmp_path):
    changes = {"data": {"name": "mnist"}, "order": 2, "num_lf_workers": 10, "num_resamples": 20}
    config = study_from(LeaderComplexityConfig, changes)
    result = run_leader_complexity(config, FITS, tmp_path / "study")
    assert [row["name"] for row in result["classes"]] == ["dark", "bright"]
    assert [row["leaders"] for row in result["classes"]] == [1, 5]
    assert [row["images"] for row in result["classes"]] == [20, 20]
    dark, bright = (row["complexity"] for row in result["classes"])
    assert dark != bright
    assert min(dark, bright) > 0
    assert result["fractions"] == [0.1, 0.5, 1.0]
    assert result["seeds"] == 2
    assert json.loads((tmp_path / "study/result.json").read_text()) == result
    assert leaders_figure(result, "reduced: tiny").startswith(b"\x89PNG")
