"""Every readout and auxiliary network fits every backbone, in 2D and 3D, attention included."""

import copy

import pytest
import torch
from torch import nn

from brainage.backbones.config import BackboneConfig
from brainage.backbones.registry import build_stages
from brainage.core.auxiliary import build_downstream, output_shape
from brainage.core.build import build_chain
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.partition import stage_counts
from brainage.core.training_config import OptimizerConfig
from tests.backbones.test_backbones import each_backbone, make_batch
from tests.core.helpers import make_task


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


def trained(
    config: BackboneConfig, shape: tuple[int, ...], rule: str, heads: HeadConfig
) -> SingleDeviceEngine:
    """Two blocks after one step; every parameter has moved."""
    stages = build_stages(config, shape, seed=0)
    counts = stage_counts(len(stages), BlocksConfig(num_blocks=2))
    task, objective = make_task("classification"), ObjectiveConfig(name=rule, leader_fraction=0.5)
    chain = build_chain(stages, counts, shape, task, objective, heads=heads)
    engine = SingleDeviceEngine(
        chain,
        Objective(objective, task, 2),
        build_optimizers(chain, OptimizerConfig()),
        device=torch.device("cpu"),
        seed=0,
    )
    before = {name: p.clone() for name, p in chain.named_parameters()}
    engine.train_step(make_batch(shape, classes=True), 0, 1e-2)
    still = [n for n, p in chain.named_parameters() if torch.equal(p, before[n])]
    assert still == []
    return engine


@each_backbone
def test_workers_are_units_or_groups_of_channels(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    """Filters, neurons or embedding channels: four classes take four channels of each worker."""
    for heads in (
        HeadConfig(readout="units", num_lf_workers=None),
        HeadConfig(readout="group", num_lf_workers=2),
    ):
        engine = trained(config, shape, "lfnn_l", heads)
        outputs = engine.chain.all_outputs(make_batch(shape).inputs)
        for each in outputs:
            workers = each.features.shape[1] // 4 if heads.readout == "units" else 2
            assert each.workers_BWC.shape == (3, workers, 4)
        added = engine.chain.parameter_counts()["workers"]
        assert (added == 0) == (heads.readout == "units")


@pytest.mark.parametrize("auxiliary", ["mlp_sr", "downstream"])
@each_backbone
def test_auxiliary_networks_teach_hidden_blocks(
    config: BackboneConfig, shape: tuple[int, ...], auxiliary: str
) -> None:
    engine = trained(config, shape, "dgl", HeadConfig(auxiliary=auxiliary, auxiliary_depth=1))
    assert engine.chain.parameter_counts()["auxiliary"] > 0
