"""Properties of every registered backbone; a new one is added to CASES."""

import pytest
import torch

from brainage.backbones.config import BackboneConfig, CNN3DConfig, MLPConfig, SFCNConfig
from brainage.backbones.registry import BUILDERS, build_stages
from brainage.core.blocks import build_chain
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.partition import stage_counts
from brainage.core.training_config import OptimizerConfig
from brainage.core.types import Batch
from tests.core.helpers import make_task

CASES: list[tuple[BackboneConfig, tuple[int, ...]]] = [
    (CNN3DConfig(channels=(4, 8, 8, 16), kernel_size=3, padding="same"), (1, 16, 20, 16)),
    (CNN3DConfig(channels=(4, 8), kernel_size=6), (1, 24, 24, 24)),
    (SFCNConfig(channels=(4, 8, 16, 16, 8)), (1, 16, 20, 16)),
    (MLPConfig(hidden_sizes=(16, 8)), (1, 3, 4)),
]
IDS = [f"{config.name}-{index}" for index, (config, _) in enumerate(CASES)]
RULES = ["bp", "bp_deep_supervision", "lfnn", "lfnn_l"]


def make_engine(
    config: BackboneConfig, shape: tuple[int, ...], rule: str, num_blocks: int
) -> SingleDeviceEngine:
    stages = build_stages(config, shape, seed=0)
    task = make_task()
    objective = Objective(ObjectiveConfig(name=rule, leader_fraction=0.5), task, num_blocks)
    chain = build_chain(
        stages,
        stage_counts(len(stages), BlocksConfig(num_blocks=num_blocks)),
        shape,
        task,
        HeadConfig(num_lf_workers=2),
        workers=objective.needs_workers,
        hidden_outputs=rule != "bp",
        probe=not objective.supervises_every_block,
    )
    optimizers = build_optimizers(chain, OptimizerConfig())
    return SingleDeviceEngine(chain, objective, optimizers, device=torch.device("cpu"), seed=0)


def test_every_registered_backbone_is_tried() -> None:
    assert {config.name for config, _ in CASES} == set(BUILDERS)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("config", "shape"), CASES, ids=IDS)
def test_every_parameter_moves_under_every_rule(
    config: BackboneConfig, shape: tuple[int, ...], rule: str
) -> None:
    engine = make_engine(config, shape, rule, num_blocks=2)
    before = {name: p.clone() for name, p in engine.chain.named_parameters()}
    for step in range(2):
        batch = Batch(torch.randn(3, *shape), torch.tensor([25.0, 40.0, 66.0]))
        engine.train_step(batch, step, 1e-2)
    still = [n for n, p in engine.chain.named_parameters() if torch.equal(p, before[n])]
    assert still == []
    assert torch.isfinite(engine.chain(batch.inputs)).all()


@pytest.mark.parametrize(("config", "shape"), CASES, ids=IDS)
def test_one_block_is_the_unsplit_network(config: BackboneConfig, shape: tuple[int, ...]) -> None:
    inputs = torch.randn(2, *shape)
    whole = torch.nn.Sequential(*build_stages(config, shape, seed=3)).eval()
    chain = make_engine(config, shape, "lfnn_l", num_blocks=1).chain
    chain.blocks[0].body.load_state_dict(whole.state_dict())
    chain.eval()
    assert torch.equal(chain.all_outputs(inputs)[0].features, whole(inputs))


@pytest.mark.parametrize(("config", "shape"), CASES, ids=IDS)
def test_initial_weights_depend_on_the_seed_alone(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    first = torch.nn.Sequential(*build_stages(config, shape, seed=1)).state_dict()
    torch.rand(5)
    second = torch.nn.Sequential(*build_stages(config, shape, seed=1)).state_dict()
    other = torch.nn.Sequential(*build_stages(config, shape, seed=2)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_input_too_small_for_the_network_is_refused_with_its_block() -> None:
    with pytest.raises(ValueError, match="block 4 cannot take an input of shape"):
        make_engine(CNN3DConfig(), (1, 48, 56, 48), "lfnn_l", num_blocks=4)


def test_the_published_kernel_fits_the_published_grid() -> None:
    chain = make_engine(CNN3DConfig(channels=(2, 2, 2, 2)), (1, 96, 112, 96), "bp", 4).chain
    assert len(chain) == 4


def test_sfcn_has_three_million_parameters() -> None:
    stages = build_stages(SFCNConfig(), (1, 48, 56, 48), seed=0)
    assert 1e6 < sum(p.numel() for s in stages for p in s.parameters()) < 3e6
