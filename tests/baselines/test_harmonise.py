import numpy as np
import pytest

from brainage.baselines.harmonise import fit_harmonisation
from brainage.errors import CohortError

SITES = ("a", "b", "c")


@pytest.fixture(scope="module")
def part():
    """Features that fall with age, and that two of three sites shift and stretch.

    Site ``c`` has the oldest people, so what the site does and what age does look alike.
    """
    rng = np.random.default_rng(0)
    sites = [SITES[index % 3] for index in range(240)]
    older = np.array([{"a": 0, "b": 5, "c": 15}[site] for site in sites])
    ages = rng.uniform(20, 60, 240) + older
    clean = -0.05 * (ages[:, None] - 40) * np.array([1.0, 0.5, 0.0, 2.0]) + rng.normal(
        size=(240, 4)
    )
    shift = {"a": 0.0, "b": 3.0, "c": -2.0}
    scale = {"a": 1.0, "b": 2.0, "c": 0.5}
    middle = clean.mean(axis=0)
    features = np.stack(
        [middle + (row - middle) * scale[s] + shift[s] for row, s in zip(clean, sites, strict=True)]
    )
    subjects = [f"p{index}" for index in range(240)]
    return features, clean, sites, subjects, ages


def fit(part, rows=slice(0, 180)):
    features, _, sites, subjects, ages = part
    return fit_harmonisation(features[rows], sites[rows], subjects[rows], ages[rows])


def between_sites(features, sites, ages):
    """How far the sites' means lie apart once age is taken out, in years' worth of noise."""
    slope = np.polyfit(ages, features, 1)
    rest = features - np.outer(ages, slope[0]) - slope[1]
    means = [rest[np.array(sites) == site].mean(axis=0) for site in SITES]
    return float(np.ptp(means, axis=0).max())


def test_sites_differ_no_more_and_age_stays(part):
    features, clean, sites, subjects, ages = part
    tested = slice(180, None)
    harmonised = fit(part).apply_to_test(features[tested], sites[tested], subjects[tested])
    assert between_sites(features[tested], sites[tested], ages[tested]) > 3
    assert between_sites(harmonised, sites[tested], ages[tested]) < 1
    slope, found = (
        np.polyfit(ages[tested], values, 1)[0] for values in (clean[tested], harmonised)
    )
    np.testing.assert_allclose(found[[0, 3]], slope[[0, 3]], rtol=0.4)


def test_the_map_knows_no_age_of_the_scan_it_is_applied_to(part):
    """Ages only enter the fit; who is harmonised together does not matter either."""
    features, _, sites, subjects, _ = part
    fitted = fit(part)
    together = fitted.apply_to_test(features[180:], sites[180:], subjects[180:])
    alone = fitted.apply_to_test(features[200:201], sites[200:201], subjects[200:201])
    np.testing.assert_allclose(alone, together[20:21])
    np.testing.assert_allclose(fitted.apply(features[180:], sites[180:]), together)


def test_the_ages_of_the_training_part_decide_what_is_the_site_s(part):
    features, _, sites, subjects, ages = part
    aware = fit(part)
    shuffled = np.random.default_rng(0).permutation(ages[:180])
    blind = fit_harmonisation(features[:180], sites[:180], subjects[:180], shuffled)
    old = SITES.index("c")
    # without true ages, the older site's shift swallows what age does there
    assert blind.shift_SF[old, 3] < aware.shift_SF[old, 3] - 0.3


def test_a_harmonisation_fitted_on_a_test_subject_is_refused(part):
    features, _, sites, subjects, _ = part
    fitted = fit(part)
    with pytest.raises(CohortError, match=r"fitted on test: .*p178, p179; fit it on the training"):
        fitted.apply_to_test(features[178:200], sites[178:200], subjects[178:200])
    assert not any(name in repr(fitted) for name in ("p178", "p179"))


def test_a_site_that_was_not_trained_on_is_refused_by_name(part):
    fitted = fit(part)
    with pytest.raises(CohortError, match=r"\(a, b, c\), got d"):
        fitted.apply(part[0][:2], ["a", "d"])


def test_sites_that_decide_nothing_are_refused(part):
    features, _, sites, subjects, ages = part
    few = ["d", "d", *sites[2:180]]
    with pytest.raises(
        CohortError, match=r"at least 3 training scans of each site, got fewer of d"
    ):
        fit_harmonisation(features[:180], few, subjects[:180], ages[:180])
    of_site = np.array([{"a": 30.0, "b": 40.0, "c": 50.0}[site] for site in sites])
    with pytest.raises(CohortError, match="cannot be told apart"):
        fit_harmonisation(features, sites, subjects, of_site)


def test_one_site_and_constant_features_are_left_as_they_are(part):
    features, _, sites, subjects, ages = part
    alone = fit_harmonisation(features[:60], ["a"] * 60, subjects[:60], ages[:60])
    np.testing.assert_allclose(alone.apply(features[60:], ["a"] * 180), features[60:])
    constant = np.column_stack([features, np.full(240, 7.0)])
    fitted = fit_harmonisation(constant[:180], sites[:180], subjects[:180], ages[:180])
    harmonised = fitted.apply(constant, sites)
    np.testing.assert_array_equal(harmonised[:, 4], 7.0)
    np.testing.assert_allclose(harmonised[:, :4], fit(part).apply(features, sites), rtol=1e-6)


def test_sex_is_no_site_s_effect_unless_a_site_has_one_sex_only(part, capsys):
    features, _, sites, subjects, ages = part
    rng = np.random.default_rng(5)
    sexes = ["F" if site == "a" or (site == "b" and draw < 0.5) else "M"
             for site, draw in zip(sites, rng.uniform(size=240), strict=True)]  # fmt: skip
    fitted = fit_harmonisation(features, sites, subjects, ages, sexes)
    assert np.isfinite(fitted.apply(features, sites)).all()
    of_site = ["F" if site == "a" else "M" for site in sites]
    same = fit_harmonisation(features, sites, subjects, ages, of_site)
    without = fit_harmonisation(features, sites, subjects, ages)
    np.testing.assert_allclose(same.shift_SF, without.shift_SF)
    assert capsys.readouterr().out == ""
