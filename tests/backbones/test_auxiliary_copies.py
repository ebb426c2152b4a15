"""Stages of every backbone can serve as auxiliary networks: copies with weights of their own."""

import copy

import torch
from torch import nn

from brainage.backbones.config import BackboneConfig
from brainage.backbones.registry import build_stages
from brainage.core.auxiliary import build_downstream, output_shape
from tests.backbones.test_backbones import each_backbone


@each_backbone
def test_downstream_copies_of_any_backbone_draw_new_weights(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    stages = build_stages(config, shape, seed=0)
    before = copy.deepcopy(nn.Sequential(*stages).state_dict())
    shapes = [shape]
    for stage in stages:
        shapes.append(output_shape(stage, shapes[-1]))
    network = build_downstream(shapes[0], stages, shapes[:-1], len(stages))
    assert network is not None
    pairs = zip(nn.Sequential(*stages).parameters(), network.parameters(), strict=True)
    # Parameters that start as constants, as norms and many biases do, stay what they are.
    same = [tuple(a.shape) for a, b in pairs if torch.equal(a, b) and len(a.unique()) > 1]
    assert same == []
    after = nn.Sequential(*stages).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert network(torch.randn(2, *shape)).shape == (2, *shapes[-1])
