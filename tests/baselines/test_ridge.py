import numpy as np

from brainage.baselines import ridge
from brainage.baselines.ridge import ridge_ages


def planted(seed=0):
    """Nine features on very different scales, three of which follow age."""
    rng = np.random.default_rng(seed)
    ages = np.repeat(rng.uniform(20, 80, 40), 2)
    features = rng.normal(size=(80, 9))
    features[:, :3] += (ages[:, None] - 50) / 10
    subjects = [f"s{index // 2}" for index in range(80)]
    return features * 10.0 ** np.arange(-4, 5) + 5, ages, subjects


def test_a_signal_is_recovered_whatever_the_features_units():
    features, ages, subjects = planted()
    predicted = ridge_ages(features[:60], ages[:60], subjects[:60], features[60:])
    assert np.abs(predicted - ages[60:]).mean() < np.abs(ages[:60].mean() - ages[60:]).mean() / 2
    scaled = features * 7 - 3
    again = ridge_ages(scaled[:60], ages[:60], subjects[:60], scaled[60:])
    np.testing.assert_allclose(again, predicted, rtol=1e-6)


def test_without_a_signal_it_predicts_near_the_mean():
    _, ages, subjects = planted()
    noise = np.random.default_rng(1).normal(size=(80, 30))
    predicted = ridge_ages(noise[:60], ages[:60], subjects[:60], noise[60:])
    assert np.abs(predicted - ages[:60].mean()).max() < 0.5 * ages.std()


def test_a_subject_s_scans_are_never_on_both_sides_of_an_inner_fold(monkeypatch):
    features, ages, subjects = planted()
    folds = []
    original = ridge.RidgeCV

    def spy(*arguments, cv, **options):
        folds.extend(cv)
        return original(*arguments, cv=cv, **options)

    monkeypatch.setattr(ridge, "RidgeCV", spy)
    ridge_ages(features[:60], ages[:60], subjects[:60], features[60:])
    names = np.array(subjects)
    assert len(folds) == ridge.INNER_FOLDS
    assert all(not set(names[train]) & set(names[test]) for train, test in folds)
