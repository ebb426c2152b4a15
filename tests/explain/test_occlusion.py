import itertools

import numpy as np
import pytest
import torch

from brainage.explain.answer import AnswerNetwork
from brainage.explain.baseline import mean_volume
from brainage.explain.occlusion import num_cubes, occlusion_map


@pytest.fixture
def network(model, scan):
    return AnswerNetwork(model.members, "last", mean_volume(scan.volume_XYZ, scan.mask_XYZ))


def starts(extent, cube, stride):
    return sorted({min(start, extent - cube) for start in range(0, extent, stride)})


@pytest.mark.parametrize(("cube", "stride"), [(8, 4), (7, 5), (5, 5)])
def test_a_place_has_the_mean_change_of_the_cubes_over_it(network, scan, cube, stride):
    difference = network.difference(scan.volume_XYZ)
    shape = scan.volume_XYZ.shape
    if cube == 5:
        difference = difference.clone()
        difference[..., :4, :, :] = 0  # where nothing is, replacing it changes nothing
    total, covered = np.zeros(shape), np.zeros(shape)
    with torch.no_grad():
        years = float(network(difference)[0])
        for corner in itertools.product(*(starts(extent, cube, stride) for extent in shape)):
            box = tuple(slice(start, start + cube) for start in corner)
            occluded = difference.clone()
            occluded[0, 0][box] = 0
            total[box] += years - float(network(occluded)[0])
            covered[box] += 1
    found = occlusion_map(network, difference, cube=cube, stride=stride, rows=7).numpy()
    np.testing.assert_allclose(found, total / covered, atol=2e-4)
    assert np.abs(found).max() > 1e-3
    assert int(np.prod([len(starts(extent, cube, stride)) for extent in shape])) == num_cubes(
        shape, cube, stride
    )


def test_every_volume_is_counted_also_those_that_need_not_be_asked_about(model, scan):
    counted = []
    network = AnswerNetwork(model.members, "last", np.zeros_like(scan.volume_XYZ), counted.append)
    occlusion_map(network, network.difference(scan.volume_XYZ), cube=4, stride=4, rows=4)
    assert sum(counted) == num_cubes(scan.volume_XYZ.shape, 4, 4) + 1
