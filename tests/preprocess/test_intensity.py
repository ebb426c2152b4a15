"""Intensity: z-scores inside the mask, zero outside."""

from types import SimpleNamespace

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.preprocess.config import IntensityConfig
from brainage.preprocess.intensity import NormaliseIntensity
from brainage.preprocess.state import ScanState, Volume


def normalised(make, values, clip=5.0):
    mask = np.zeros((10, 10, 10), bool)
    mask[2:8, 2:8, 2:8] = True
    data = np.where(mask, values, 0).astype(np.float32)
    scan = make.as_scan(SimpleNamespace(data_XYZ=data, affine=np.eye(4)))
    state = ScanState(scan, volume=Volume(data, mask, np.eye(4)))
    return NormaliseIntensity(IntensityConfig(clip=clip))(state)


def noise():
    return np.random.default_rng(0).normal(300, 40, (10, 10, 10))


def test_mean_is_0_and_spread_1_inside_and_all_is_0_outside(make):
    volume = normalised(make, noise()).volume
    inside = volume.data_XYZ[volume.mask_XYZ]
    assert inside.mean() == pytest.approx(0, abs=1e-6)
    assert inside.std() == pytest.approx(1, abs=1e-6)
    assert (volume.data_XYZ[~volume.mask_XYZ] == 0).all()


def test_scale_and_offset_of_the_scanner_do_not_matter(make):
    first, second = (normalised(make, v).volume.data_XYZ for v in (noise(), 7 * noise() + 50))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_outliers_are_clipped_and_counted(make):
    values = noise()
    values[4, 4, 4] = 1e5
    state = normalised(make, values, clip=3.0)
    assert np.abs(state.volume.data_XYZ).max() == 3
    assert state.quality["clipped_fraction"] == pytest.approx(1 / 216)


def test_a_brain_without_contrast_is_refused(make):
    with pytest.raises(ScanError) as info:
        normalised(make, np.full((10, 10, 10), 300.0))
    assert info.value.stage == "intensity"
