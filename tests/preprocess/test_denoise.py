"""Denoising: noise falls, edges and the background stay, and nothing happens unless asked for."""

import numpy as np
import pytest

from brainage.preprocess.config import DenoiseConfig
from brainage.preprocess.denoise import Denoise
from brainage.preprocess.state import ScanState


def noisy_box(make):
    """A bright box on an exact background, with noise on the box only."""
    made = make.moved_brain()
    made.data_XYZ = np.full((40, 40, 40), 7.0, np.float32)
    noise = np.random.default_rng(0).normal(0, 20, (20, 20, 20))
    made.data_XYZ[10:30, 10:30, 10:30] = 500 + noise
    return make.as_scan(made)


@pytest.mark.parametrize("method", ["curvature_flow", "nonlocal_means"])
def test_noise_falls_and_the_edge_and_background_stay(make, method):
    scan = noisy_box(make)
    state = Denoise(DenoiseConfig(method=method))(ScanState(scan))
    inner = state.scan.data_XYZ[13:27, 13:27, 13:27]
    assert inner.std() < 0.7 * scan.data_XYZ[13:27, 13:27, 13:27].std()
    assert inner.mean() == pytest.approx(500, rel=0.02)
    assert (state.scan.data_XYZ[:9] == 7).all()
    edge = state.scan.data_XYZ[10, 13:27, 13:27].mean()
    assert edge > 400
    assert 0 < state.quality["noise_removed_fraction"] < 0.5


def test_none_returns_the_state_itself(make):
    state = ScanState(noisy_box(make))
    assert Denoise(DenoiseConfig())(state) is state


def test_a_scan_is_denoised_once(make):
    step = Denoise(DenoiseConfig(method="curvature_flow"))
    once = step(ScanState(noisy_box(make)))
    assert step(once) is once
