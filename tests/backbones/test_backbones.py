"""Properties of every registered backbone; a new one is added to CASES."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from brainage.backbones.config import (
    BackboneConfig,
    CifarCNNConfig,
    CNN3DConfig,
    DenseNetConfig,
    MLPConfig,
    ResNetConfig,
    SFCNConfig,
    SwinConfig,
    VGGConfig,
    ViTConfig,
)
from brainage.backbones.registry import BUILDERS, build_stages
from brainage.core.build import build_chain
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.partition import stage_counts
from brainage.core.rules import RULES
from brainage.core.training_config import OptimizerConfig
from brainage.core.types import Batch
from tests.core.helpers import make_task

SMALL_VIT = ViTConfig(patch_size=4, hidden_size=16, mlp_size=24, num_layers=2, num_heads=2)
SMALL_SWIN = SwinConfig(patch_size=2, window_size=2, width=8, layers=(2, 2), num_heads=(2, 2))
CASES: list[tuple[BackboneConfig, tuple[int, ...]]] = [
    (CNN3DConfig(channels=(4, 8, 8, 16), kernel_size=3, padding="same"), (1, 16, 20, 16)),
    (CNN3DConfig(channels=(4, 8), kernel_size=6), (1, 24, 24, 24)),
    (SFCNConfig(channels=(4, 8, 16, 16, 8)), (1, 16, 20, 16)),
    (MLPConfig(hidden_sizes=(16, 8)), (1, 3, 4)),
    (CifarCNNConfig(channels=(4, 4, 8, 8), hidden_sizes=(16,)), (3, 8, 8)),
    (CifarCNNConfig(channels=(4, 4), hidden_sizes=(), norm="group"), (1, 6, 8, 6)),
    (VGGConfig(width=1 / 32), (3, 16, 16)),
    (VGGConfig(variant="vgg19", width=1 / 16, norm="group"), (1, 32, 32)),
    (ResNetConfig(width=4, stem="cifar"), (3, 12, 12)),
    (ResNetConfig(width=4, norm="group"), (1, 33, 36, 33)),
    (ResNetConfig(width=4, norm="group", stem="volume"), (1, 16, 18, 16)),
    (ResNetConfig(depth=50, width=4, norm="group"), (3, 36, 36)),
    (DenseNetConfig(layers=(2, 2), growth=4, width=8), (3, 32, 32)),
    (DenseNetConfig(layers=(2, 2), growth=4, width=8, norm="group"), (1, 24, 24, 24)),
    (SMALL_VIT, (3, 8, 12)),
    (SMALL_VIT, (1, 8, 8, 12)),
    (SMALL_SWIN, (3, 10, 12)),
    (SMALL_SWIN, (1, 8, 10, 8)),
]
IDS = [f"{config.name}-{len(shape) - 1}d-{i}" for i, (config, shape) in enumerate(CASES)]
each_backbone = pytest.mark.parametrize(("config", "shape"), CASES, ids=IDS)
TRAINING_RULES = [name for name in RULES if name != "forward_forward"]


def make_engine(
    config: BackboneConfig, shape: tuple[int, ...], rule: str, num_blocks: int
) -> SingleDeviceEngine:
    stages = build_stages(config, shape, seed=0)
    classes = RULES[rule].contrasts
    task = make_task("classification" if classes else "soft_bins")
    rule_config = ObjectiveConfig(name=rule, leader_fraction=0.5)
    chain = build_chain(
        stages,
        stage_counts(len(stages), BlocksConfig(num_blocks=num_blocks)),
        shape,
        task,
        rule_config,
        heads=HeadConfig(num_lf_workers=2),
    )
    return SingleDeviceEngine(
        chain,
        Objective(rule_config, task, num_blocks),
        build_optimizers(chain, OptimizerConfig()),
        device=torch.device("cpu"),
        seed=0,
    )


def make_batch(shape: tuple[int, ...], *, classes: bool = False) -> Batch:
    generator = torch.Generator().manual_seed(1)
    targets = torch.tensor([0, 1, 3]) if classes else torch.tensor([25.0, 40.0, 66.0])
    return Batch(torch.randn(3, *shape, generator=generator), targets)


def test_every_registered_backbone_is_tried() -> None:
    assert {config.name for config, _ in CASES} == set(BUILDERS)


@each_backbone
def test_the_configuration_knows_the_number_of_stages(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    assert len(build_stages(config, shape, seed=0)) == config.num_stages


@pytest.mark.parametrize("rule", RULES)
@each_backbone
def test_every_parameter_moves_under_every_rule(
    config: BackboneConfig, shape: tuple[int, ...], rule: str
) -> None:
    engine = make_engine(config, shape, rule, num_blocks=2)
    before = {name: p.clone() for name, p in engine.chain.named_parameters()}
    batch = make_batch(shape, classes=RULES[rule].contrasts)
    for step in range(2):
        # Greedy training has a phase for each block: one step in each.
        engine.train_step(batch, step, 1e-2, step / 2)
    still = [n for n, p in engine.chain.named_parameters() if torch.equal(p, before[n])]
    assert still == []
    outputs = [each for each in engine.predict(batch.inputs) if each is not None]
    assert all(torch.isfinite(each).all() for each in outputs)


@each_backbone
def test_one_block_is_the_unsplit_network_with_its_gradients(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    inputs = make_batch(shape).inputs
    whole = nn.Sequential(*build_stages(config, shape, seed=3)).eval()
    chain = make_engine(config, shape, "lfnn_l", num_blocks=1).chain.eval()
    chain.blocks[0].body.load_state_dict(whole.state_dict())
    features = chain.all_outputs(inputs)[0].features
    expected = whole(inputs)
    assert torch.equal(features, expected)
    for outputs in (features, expected):
        outputs.square().sum().backward()
    pairs = zip(chain.blocks[0].body.parameters(), whole.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


@each_backbone
def test_stages_can_be_cut_anywhere_and_leave_their_input_alone(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    stages = [stage.eval() for stage in build_stages(config, shape, seed=0)]
    features = make_batch(shape).inputs
    whole = nn.Sequential(*stages)(features)
    for stage in stages:
        kept = features.clone()
        following = stage(features.requires_grad_())
        assert torch.equal(features, kept), "a stage changed what others read too"
        assert following.ndim in {2, len(shape) + 1}, "features are maps or vectors"
        following.sum().backward()
        assert features.grad is not None
        features = following.detach()
    assert torch.equal(features, whole)


@each_backbone
def test_a_copy_and_double_precision_compute_the_same(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    network = nn.Sequential(*build_stages(config, shape, seed=0)).eval()
    inputs = make_batch(shape).inputs
    expected = network(inputs)
    assert torch.equal(copy.deepcopy(network)(inputs), expected)
    exact = network.double()(inputs.double())
    torch.testing.assert_close(exact.float(), expected, rtol=1e-3, atol=1e-4)


@each_backbone
def test_initial_weights_depend_on_the_seed_alone(
    config: BackboneConfig, shape: tuple[int, ...]
) -> None:
    first = nn.Sequential(*build_stages(config, shape, seed=1)).state_dict()
    torch.rand(5)
    second = nn.Sequential(*build_stages(config, shape, seed=1)).state_dict()
    other = nn.Sequential(*build_stages(config, shape, seed=2)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (VGGConfig(), (3, 8, 8), "4 poolings need axes of at least 16"),
        (CifarCNNConfig(), (3, 4, 8), "3 poolings need axes of at least 8"),
        (ViTConfig(), (3, 200, 224), "patch_size: expected a divisor of every axis"),
        (ResNetConfig(), (3, 64), "expected images or volumes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    config: BackboneConfig, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_stages(config, shape, seed=0)


def test_an_input_too_small_for_the_network_is_refused_with_its_block() -> None:
    with pytest.raises(ValueError, match="block 4 cannot take an input of shape"):
        make_engine(CNN3DConfig(), (1, 48, 56, 48), "lfnn_l", num_blocks=4)


def test_pooling_before_the_relu_is_the_published_order_to_the_last_bit() -> None:
    config = CNN3DConfig(channels=(4, 8), kernel_size=3, padding="same")
    ours = nn.Sequential(*build_stages(config, (1, 10, 12, 10), seed=0))
    published = nn.Sequential(
        *[nn.Sequential(conv, nn.ReLU(), pool, norm) for conv, pool, _, norm in copy.deepcopy(ours)]
    )
    inputs = torch.randn(2, 1, 10, 12, 10, generator=torch.Generator().manual_seed(0))
    features = [network(inputs) for network in (ours, published)]
    assert torch.equal(*features)
    for each in features:
        each.square().sum().backward()
    pairs = zip(ours.parameters(), published.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_the_published_kernel_fits_the_published_grid() -> None:
    chain = make_engine(CNN3DConfig(channels=(2, 2, 2, 2)), (1, 96, 112, 96), "bp", 4).chain
    assert len(chain) == 4


@pytest.mark.parametrize(
    ("config", "shape", "parameters"),
    [
        (SFCNConfig(), (1, 48, 56, 48), 2_949_536),
        (CifarCNNConfig(), (3, 32, 32), 878_016),
        (VGGConfig(variant="vgg19"), (3, 32, 32), 20_029_888),
        (ResNetConfig(depth=18), (3, 32, 32), 11_176_512),
        (ResNetConfig(depth=50), (3, 32, 32), 23_508_032),
        (ResNetConfig(depth=101), (3, 32, 32), 42_500_160),
        (ResNetConfig(depth=152), (3, 32, 32), 58_143_808),
        (DenseNetConfig(), (3, 32, 32), 6_953_856),
        # 86,567,656 less the classifier's 769,000 and the class token with its position
        (ViTConfig(), (3, 224, 224), 85_797_120),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_full_size_networks_have_the_known_number_of_parameters(
    config: BackboneConfig, shape: tuple[int, ...], parameters: int
) -> None:
    with torch.device("meta"):
        stages = BUILDERS[config.name](config, shape)
    assert sum(p.numel() for stage in stages for p in stage.parameters()) == parameters


def test_sixteen_blocks_can_be_cut_from_twelve_layers() -> None:
    assert min(stage_counts(ViTConfig().num_stages, BlocksConfig(num_blocks=16))) >= 1


def test_resnet_and_densenet_compute_what_monai_computes() -> None:
    from monai.networks.nets.densenet import DenseNet121
    from monai.networks.nets.resnet import ResNet

    images = torch.randn(2, 3, 64, 64)
    resnet = ResNet("bottleneck", [3, 4, 6, 3], [64, 128, 256, 512], spatial_dims=2,
                    conv1_t_stride=2, feed_forward=False, bias_downsample=False).eval()  # fmt: skip
    ours = nn.Sequential(*build_stages(ResNetConfig(depth=50), (3, 64, 64), seed=0)).eval()
    _copy_in_order(resnet, ours)
    assert torch.equal(resnet(images), ours(images).mean((2, 3)))
    densenet = DenseNet121(spatial_dims=2, in_channels=3, out_channels=1).eval()
    ours = nn.Sequential(*build_stages(DenseNetConfig(), (3, 64, 64), seed=0)).eval()
    _copy_in_order(densenet.features, ours)
    assert torch.equal(densenet.features(images).relu(), ours(images))


def _copy_in_order(source: nn.Module, target: nn.Module) -> None:
    values = list(source.state_dict().values())
    names = list(target.state_dict())
    target.load_state_dict(dict(zip(names, values, strict=True)))


def test_choosing_a_backbone_does_not_import_monai() -> None:
    code = "import sys, brainage.backbones.registry; sys.exit('monai' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_an_mlp_is_the_same_network_wherever_its_activations_are_cut() -> None:
    shape = (1, 3, 4)
    inputs = make_batch(shape).inputs
    answers = []
    for activation in ("end", "start"):
        config = MLPConfig(hidden_sizes=(16, 8), output_stage=True, activation=activation)
        stages = build_stages(config, shape, seed=0)
        assert len(stages) == config.num_stages == 3
        answers.append(nn.Sequential(*stages)(inputs))
        assert (nn.Sequential(*stages[:2])(inputs).min() < 0) == (activation == "start")
    assert torch.equal(*answers)


def test_activations_at_the_start_need_a_stage_behind_them() -> None:
    with pytest.raises(ValueError, match="activation: expected 'end' without output_stage"):
        MLPConfig(activation="start")
