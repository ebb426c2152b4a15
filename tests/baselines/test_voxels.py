import numpy as np
import pytest

from brainage.baselines import voxels
from brainage.baselines.voxels import voxel_products


def test_products_and_distances_are_those_of_centred_voxels(scans):
    volumes = scans[0].astype(np.float64)
    found = voxel_products(volumes[:40], volumes[40:])
    rows = volumes.reshape(len(volumes), -1) - volumes[:40].reshape(40, -1).mean(axis=0)
    rows /= np.sqrt((rows[:40] ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(found.training_NN, rows[:40] @ rows[:40].T, atol=1e-12)
    np.testing.assert_allclose(found.test_MN, rows[40:] @ rows[:40].T, atol=1e-12)
    training, test = found.squared_distances()
    distances = ((rows[:, None] - rows[None, :40]) ** 2).sum(axis=2)
    np.testing.assert_allclose(np.vstack([training, test]), distances, atol=1e-12)
    assert distances[:40].mean() == pytest.approx(2)


def test_volumes_are_taken_one_by_one_in_portions(scans, monkeypatch):
    volumes = scans[0]
    whole = voxel_products(volumes[:40], volumes[40:])
    monkeypatch.setattr(voxels, "SCANS_AT_ONCE", 7)
    found = voxel_products(iter(volumes[:40]), iter(volumes[40:]))
    np.testing.assert_allclose(found.test_MN, whole.test_MN, atol=1e-12)
    np.testing.assert_allclose(found.test_squares_M, whole.test_squares_M, atol=1e-12)


def test_fine_volumes_are_averaged_to_coarser_ones():
    rng = np.random.default_rng(3)
    coarse = rng.normal(size=(12, 4, 4, 50))
    fine = coarse.repeat(2, axis=3)
    # a slice that fills no block of two is left out
    odd = np.concatenate([fine, np.full((12, 4, 4, 1), 1e6)], axis=3)
    expected = voxel_products(coarse[:9], coarse[9:])
    for volumes in (fine, odd):
        found = voxel_products(volumes[:9], volumes[9:])
        np.testing.assert_allclose(found.test_MN, expected.test_MN, rtol=1e-6, atol=1e-9)
