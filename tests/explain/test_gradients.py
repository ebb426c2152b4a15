import pytest
import torch

from brainage.explain.answer import AnswerNetwork
from brainage.explain.baseline import template_volume
from brainage.explain.gradients import integrated_gradients


@pytest.mark.parametrize("answer", ["last", "block1"])
def test_the_shares_sum_to_the_age_above_the_baseline(model, scan, answer):
    baseline_XYZ = template_volume(model.config.preprocess).data_XYZ
    network = AnswerNetwork(model.members, answer, baseline_XYZ)
    found = integrated_gradients(network, network.difference(scan.volume_XYZ), num_steps=64, rows=8)
    added = found.age_years - found.baseline_age_years
    assert abs(added) > 0.04
    assert float(found.years_XYZ.sum()) == pytest.approx(added, rel=0.06)
    assert found.completeness_years == pytest.approx(
        float(found.years_XYZ.double().sum()) - added, abs=1e-6
    )


def test_a_linear_age_gives_each_voxel_its_weight_times_its_value():
    weights = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    volume = torch.linspace(-1, 1, 8).reshape(weights.shape)

    class Linear(torch.nn.Module):
        def forward(self, difference):
            return 30 + (weights * difference).flatten(1).sum(1)

    found = integrated_gradients(Linear(), volume, num_steps=8, rows=4)
    torch.testing.assert_close(found.years_XYZ, (weights * volume)[0, 0])
    assert found.baseline_age_years == 30
