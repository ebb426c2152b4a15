"""Our arrangement of deepbet's networks decides as the TorchScript in its wheel does."""

import warnings

import numpy as np
import pytest
import torch

from brainage.preprocess import deepbet
from brainage.preprocess.deepbet_network import _max_pool


@pytest.fixture(params=["bbox_model.pt", "model.pt"])
def name(request):
    return request.param


def head_like(size):
    """A smooth random volume: both decisions occur in it."""
    generator = torch.Generator().manual_seed(0)
    rough = torch.randn((1, 1, size // 8, size // 8, size // 8), generator=generator)
    smooth = torch.nn.functional.interpolate(rough, scale_factor=8, mode="trilinear")
    return smooth + 0.1 * torch.randn(smooth.shape, generator=generator)


def test_decisions_are_those_of_the_script(name):
    image = head_like(64)
    path = next(path for path in deepbet.deepbet_weights() if path.name == name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.load(path)
    network = deepbet._network(name)
    everywhere = [np.arange(64)] * 3
    with torch.inference_mode():
        probability = script.eval()(image)[0, 1]
        found = network.is_brain(network(image), everywhere)
    # The two differ by rounding, which matters only where the decision is a toss-up.
    clear = (probability - 0.5).abs() > 1e-3
    assert 0 < probability[clear].gt(0.5).float().mean() < 1
    assert torch.equal(found[clear], probability[clear] > 0.5)


def test_any_voxels_can_be_asked_for(name):
    network = deepbet._network(name)
    voxels = [np.array([3, 4, 40]), np.arange(5, 64, 7), np.array([0, 63])]
    with torch.inference_mode():
        features = network(head_like(64))
        everywhere = network.is_brain(features, [np.arange(64)] * 3)
        some = network.is_brain(features, voxels)
    np.testing.assert_array_equal(some.numpy(), everywhere.numpy()[np.ix_(*voxels)])


def test_pooling_is_that_of_torch():
    x = torch.randn((1, 3, 8, 10, 12), generator=torch.Generator().manual_seed(1))
    assert torch.equal(_max_pool(x), torch.nn.functional.max_pool3d(x, 3, 2, 1))
