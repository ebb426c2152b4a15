import numpy as np
import pytest

from brainage.baselines.gaussian_process import gaussian_process_ages, voxel_coordinates
from brainage.baselines.voxels import voxel_products


def predict(volumes, ages, test=slice(40, None)):
    training, tested = voxel_coordinates(voxel_products(volumes[:40], volumes[test]))
    return gaussian_process_ages(training, ages[:40], tested)


def test_coordinates_keep_every_product_and_distance(scans):
    """Also of test scans, most of whose voxels lie outside of the training scans' span."""
    products = voxel_products(scans[0][:40], scans[0][40:])
    training, test = voxel_coordinates(products)
    assert training.shape[1] == test.shape[1] <= 41
    np.testing.assert_allclose(training @ training.T, products.training_NN, atol=1e-8)
    np.testing.assert_allclose(test @ training.T, products.test_MN, atol=1e-8)
    np.testing.assert_allclose((test**2).sum(axis=1), products.test_squares_M, atol=1e-8)
    assert test[:, -1].min() > 0.1


def test_a_linear_signal_is_recovered_and_the_mean_is_beaten(scans):
    volumes, ages, _ = scans
    error = np.abs(predict(volumes, ages) - ages[40:]).mean()
    assert error < 2
    assert error < np.abs(ages[:40].mean() - ages[40:]).mean() / 4


def test_a_curved_signal_is_recovered():
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, np.pi, 120)
    features = np.column_stack([np.cos(angle), np.sin(angle)])
    ages = 40 + 30 * np.sin(2 * angle)
    predicted = gaussian_process_ages(features[:80], ages[:80], features[80:])
    assert np.abs(predicted - ages[80:]).mean() < 1


def test_without_a_signal_it_predicts_near_the_mean(scans):
    ages = scans[1]
    noise = np.random.default_rng(1).normal(size=scans[0].shape).astype(np.float32)
    assert np.abs(predict(noise, ages) - ages[:40].mean()).max() < 0.5 * ages.std()


def test_a_scan_s_age_does_not_depend_on_those_tested_with_it(scans):
    volumes, ages, _ = scans
    together = predict(volumes, ages)
    alone = predict(volumes, ages, test=slice(45, 46))
    assert alone == pytest.approx(together[5:6], rel=1e-6)


def test_a_shift_of_all_training_ages_shifts_the_prediction(scans):
    volumes, ages, _ = scans
    shifted = predict(volumes, ages + 100)
    np.testing.assert_allclose(shifted, predict(volumes, ages) + 100, rtol=1e-5)
