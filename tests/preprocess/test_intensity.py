"""Intensity: z-scores inside the mask, zero outside."""

from types import SimpleNamespace

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.preprocess.config import IntensityConfig
from brainage.preprocess.intensity import NormaliseIntensity
from brainage.preprocess.state import ScanState, Volume
from brainage.preprocess.template import load_template


def normalised(make, values, **settings):
    mask = np.zeros(values.shape, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    data = np.where(mask, values, 0).astype(np.float32)
    scan = make.as_scan(SimpleNamespace(data_XYZ=data, affine=np.eye(4)))
    state = ScanState(scan, volume=Volume(data, mask, np.eye(4)))
    return NormaliseIntensity(IntensityConfig(**settings))(state)


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


def test_percentiles_become_0_and_1(make):
    volume = normalised(
        make, noise(), method="percentile", low_percentile=10.0, high_percentile=90.0
    ).volume
    inside = volume.data_XYZ[volume.mask_XYZ]
    assert (inside.min(), inside.max()) == (0, 1)
    assert np.mean(inside == 0) == pytest.approx(0.1, abs=0.01)
    assert np.mean(inside == 1) == pytest.approx(0.1, abs=0.01)


def two_tissues():
    """Grey matter around 300 and white matter around 500."""
    random = np.random.default_rng(0)
    grey = random.random((30, 30, 30)) < 0.6
    return np.where(grey, random.normal(300, 30, grey.shape), random.normal(500, 20, grey.shape))


def test_white_matter_becomes_0(make):
    values = two_tissues()
    volume = normalised(make, values, method="whitestripe").volume
    white = volume.data_XYZ[volume.mask_XYZ & (values > 450)]
    assert abs(np.median(white)) < 2
    assert np.median(volume.data_XYZ[volume.mask_XYZ & (values < 350)]) < -10


@pytest.mark.parametrize("method", ["percentile", "whitestripe", "histogram"])
def test_scale_and_offset_do_not_matter_to_other_methods(make, method):
    values = two_tissues()
    first, second = (
        normalised(make, v, method=method).volume.data_XYZ for v in (values, 7 * values + 50)
    )
    np.testing.assert_allclose(first, second, atol=2e-3 * np.abs(first).max())


def test_the_histogram_becomes_that_of_the_template(make):
    volume = normalised(make, two_tissues(), method="histogram").volume
    template = load_template()
    shares = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(
        np.quantile(volume.data_XYZ[volume.mask_XYZ], shares),
        np.quantile(template.brain_XYZ[template.mask_XYZ], shares),
        atol=0.01,
    )
