"""Adaptive pooling as matrices."""

import pytest
import torch
from torch import nn

from brainage.export.pooling import FixedPooling, fix_pooling


@pytest.mark.parametrize("wanted", [(4, 4, 4), (5, 3, 7), (1, 1, 1), (2, 6, 4)])
def test_it_averages_the_windows_that_torch_pools(wanted):
    features = torch.randn(2, 3, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    expected = nn.AdaptiveAvgPool3d(wanted)(features)
    torch.testing.assert_close(FixedPooling((5, 6, 7), wanted)(features), expected)


def test_every_pooling_of_a_network_is_replaced_and_its_answer_is_kept():
    network = nn.Sequential(
        nn.Conv3d(1, 2, 3),
        nn.Sequential(nn.AdaptiveAvgPool3d((3, None, 2)), nn.Tanh()),
        nn.AdaptiveAvgPool3d(1),
    )
    volume = torch.randn(1, 1, 9, 8, 7, generator=torch.Generator().manual_seed(0))
    expected = network(volume)
    fix_pooling(network, volume)
    assert not any(isinstance(module, nn.AdaptiveAvgPool3d) for module in network.modules())
    torch.testing.assert_close(network(volume), expected)
