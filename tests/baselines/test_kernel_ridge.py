import numpy as np
from sklearn.model_selection import GroupKFold

from brainage.baselines import kernel_ridge
from brainage.baselines.voxels import voxel_products
from tests.baselines.planted import SHAPE


def kernel_ridge_ages(training_volumes, ages, subjects, test_volumes):
    products = voxel_products(training_volumes, test_volumes)
    return kernel_ridge.kernel_ridge_ages(products, ages, subjects)


def predict(scans, num_train=40, test=slice(40, None)):
    volumes, ages, subjects = scans
    return kernel_ridge_ages(
        volumes[:num_train], ages[:num_train], subjects[:num_train], volumes[test]
    )


def test_a_linear_signal_is_recovered_and_the_mean_is_beaten(scans):
    ages = scans[1]
    error = np.abs(predict(scans) - ages[40:]).mean()
    of_mean = np.abs(ages[:40].mean() - ages[40:]).mean()
    assert error < 2
    assert error < of_mean / 4


def test_without_a_signal_it_predicts_near_the_mean(scans):
    _, ages, subjects = scans
    noise = np.random.default_rng(1).normal(size=(60, *SHAPE)).astype(np.float32)
    predicted = kernel_ridge_ages(noise[:40], ages[:40], subjects[:40], noise[40:])
    assert np.abs(predicted - ages[:40].mean()).max() < 0.5 * ages.std()


def test_a_scan_s_age_does_not_depend_on_those_tested_with_it(scans):
    together = predict(scans)
    reverse = predict(scans, test=slice(None, 39, -1))
    np.testing.assert_allclose(reverse, together[::-1], rtol=1e-9)
    alone = predict(scans, test=slice(45, 46))
    np.testing.assert_allclose(alone, together[5:6], rtol=1e-9)


def test_the_unit_of_the_voxels_does_not_matter(scans):
    volumes, ages, subjects = scans
    np.testing.assert_allclose(
        predict((volumes.astype(np.float64) * 1000 + 7, ages, subjects)), predict(scans), rtol=1e-6
    )


def test_a_shift_of_all_training_ages_shifts_the_prediction(scans):
    volumes, ages, subjects = scans
    shifted = predict((volumes, ages + 100, subjects))
    np.testing.assert_allclose(shifted, predict(scans) + 100, rtol=1e-9)


def test_a_subject_s_scans_are_never_on_both_sides_of_an_inner_fold(scans, monkeypatch):
    """Tuning that had seen one of a person's scans would trust the other too much."""
    subjects = np.array(scans[2][:40])
    folds = []

    class Recorded(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                folds.append((set(subjects[train]), set(subjects[test])))
                yield train, test

    monkeypatch.setattr(kernel_ridge, "GroupKFold", Recorded)
    predict(scans)
    assert len(folds) == kernel_ridge.INNER_FOLDS * (1 + len(kernel_ridge.GAMMAS))
    assert all(not train & test for train, test in folds)


def test_as_few_subjects_as_there_are_make_the_inner_folds(scans):
    volumes, ages, _ = scans
    predicted = kernel_ridge_ages(volumes[:4], ages[:4], ["a", "a", "b", "b"], volumes[40:42])
    assert np.isfinite(predicted).all()
