"""Auxiliary networks of MLP-SR and of stages sampled downstream."""

import copy

import pytest
import torch
from torch import nn

from brainage.core.auxiliary import build_downstream, build_mlp_sr, output_shape
from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from tests.core.helpers import make_task

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SPATIAL = [(), (17,), (9, 6), (8, 9, 5)]


def count(module: nn.Module, kinds: type | tuple[type, ...]) -> int:
    return sum(isinstance(each, kinds) for each in module.modules())


@pytest.mark.parametrize("spatial", SPATIAL)
def test_mlp_sr_maps_features_of_any_axes_to_one_vector(spatial: tuple[int, ...]) -> None:
    """Three 1x1 convolutions and two linear layers; the third linear layer is the head."""
    network = build_mlp_sr((6, *spatial))
    assert network(torch.randn(2, 6, *spatial)).shape == (2, 6)
    assert count(network, tuple(CONVOLUTIONS.values())) == (3 if spatial else 0)
    assert count(network, nn.Linear) == 2


@pytest.mark.parametrize("shape", [(8, 4, 4), (3, 2, 2), (16, 3, 3, 3), (1, 4, 4), (8, 1)])
def test_normalisation_in_mlp_sr_leaves_something_of_a_map_of_one_position(
    shape: tuple[int, ...],
) -> None:
    """A group of a single value would be normalised to nothing, whatever the features are."""
    torch.manual_seed(0)
    network = build_mlp_sr(shape)
    normalised: list[torch.Tensor] = []
    network[2].register_forward_hook(lambda _, __, output: normalised.append(output))
    for sign in (1, -1):
        network(sign * torch.rand(1, *shape) + sign)
    assert float((normalised[0] - normalised[1]).detach().abs().max()) > 1e-3


def test_mlp_sr_reduces_axes_to_a_quarter_then_to_two() -> None:
    network = build_mlp_sr((4, 18, 3))
    sizes = []
    features = torch.randn(1, 4, 18, 3)
    for layer in network:
        features = layer(features)
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            sizes.append(tuple(features.shape[2:]))
    assert sizes == [(5, 1), (2, 1)]


def stages_of(axes: int, num_stages: int = 5) -> tuple[list[nn.Module], list[tuple[int, ...]]]:
    """Stages that widen and halve, with the shape of each one's input."""
    stages: list[nn.Module] = []
    shapes: list[tuple[int, ...]] = [(4, *[32] * axes)]
    for k in range(num_stages):
        convolution = CONVOLUTIONS[axes](4 + k, 5 + k, 3, stride=2, padding=1)
        stages.append(nn.Sequential(convolution, nn.ReLU()))
        shapes.append(output_shape(stages[-1], shapes[-1]))
    return stages, shapes


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("depth", "chosen"), [(1, [4]), (2, [2, 4]), (3, [1, 3, 4]), (5, [0, 1, 2, 3, 4])]
)
def test_downstream_stages_are_sampled_evenly_with_the_last_among_them(
    axes: int, depth: int, chosen: list[int]
) -> None:
    stages, shapes = stages_of(axes)
    network = build_downstream(shapes[0], stages, shapes[:-1], depth)
    assert network is not None
    kinds = [each[0].out_channels - 5 for each in network if isinstance(each[-1], nn.ReLU)]
    assert kinds == chosen
    assert network(torch.randn(2, *shapes[0])).shape == (2, *shapes[-1])


def test_more_stages_than_there_are_is_all_of_them_and_none_is_none() -> None:
    stages, shapes = stages_of(2, 2)
    whole = build_downstream(shapes[0], stages, shapes[:-1], 9)
    assert whole is not None
    assert len(whole) == 2, "neighbours fit without an adapter"
    assert build_downstream(shapes[-1], [], [], 2) is None


def test_fully_connected_stages_behind_maps_get_an_adapter() -> None:
    stages = [nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 12)), nn.Linear(12, 7), nn.Linear(7, 5)]
    network = build_downstream((4, 8, 8), stages, [(4, 8, 8), (12,), (7,)], 1)
    assert network is not None
    assert network(torch.randn(2, 4, 8, 8)).shape == (2, 5)


class Positions(nn.Module):
    """A stage with a parameter of its own and no way to reset it, as position embeddings are."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Parameter(0.02 * torch.randn(1, 6, 4, 4))
        self.scale = nn.Parameter(torch.ones(6, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.scale * features + self.embedding


def test_copied_stages_have_fresh_weights_and_the_originals_are_untouched() -> None:
    stage = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), Positions())
    stage[1].running_mean.add_(3.0)
    before = copy.deepcopy(stage.state_dict())
    network = build_downstream((6, 4, 4), [stage], [(6, 4, 4)], 1)
    assert network is not None
    fresh = network[0].state_dict()
    for name in ("0.weight", "0.bias", "3.embedding", "1.running_mean"):
        assert not torch.equal(fresh[name], before[name]), name
    for name in ("1.weight", "3.scale"):
        assert torch.equal(fresh[name], torch.ones_like(fresh[name])), "ones stay ones"
    assert 0.01 < float(fresh["3.embedding"].std()) < 0.04
    network(torch.randn(8, 6, 4, 4)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())
    assert all(parameter.grad is None for parameter in stage.parameters())


def test_asking_for_a_shape_leaves_no_trace() -> None:
    stage = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))
    stage[1].eval()
    before = copy.deepcopy(stage.state_dict())
    assert output_shape(stage, (2, 9)) == (3, 7)
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())
    assert [module.training for module in stage.modules()] == [True, True, False]


@pytest.mark.parametrize("rule", ["dgl", "greedy", "predsim", "lfnn", "lfnn_l"])
@pytest.mark.parametrize("auxiliary", ["mlp_sr", "downstream"])
def test_hidden_blocks_of_local_rules_have_one_and_its_parameters_are_counted(
    rule: str, auxiliary: str
) -> None:
    stages, shapes = stages_of(2, 3)
    heads = HeadConfig(auxiliary=auxiliary, auxiliary_depth=1)
    chain = build_chain(
        stages, (1, 1, 1), shapes[0], make_task(), ObjectiveConfig(name=rule), heads=heads
    )
    assert [block.auxiliary is None for block in chain] == [False, False, True]
    counts = chain.parameter_counts()
    similarity = 5 * 5 * 9 + 6 * 6 * 9 if rule == "predsim" else 0
    expected = sum(p.numel() for b in chain if b.auxiliary for p in b.auxiliary.parameters())
    assert counts["auxiliary"] == expected + similarity > similarity
    outputs = chain.all_outputs(torch.randn(2, *shapes[0]))
    assert [out.prediction_BC.shape for out in outputs] == [(2, 9)] * 3


@pytest.mark.parametrize("rule", ["bp", "bp_deep_supervision", "direct_feedback_alignment"])
def test_rules_without_local_losses_have_none(rule: str) -> None:
    stages, shapes = stages_of(2, 2)
    heads = HeadConfig(auxiliary="mlp_sr")
    chain = build_chain(
        stages, (1, 1), shapes[0], make_task(), ObjectiveConfig(name=rule), heads=heads
    )
    assert chain.parameter_counts()["auxiliary"] == 0


def test_the_auxiliary_network_of_a_block_depends_on_the_seed_alone() -> None:
    def weights(seed: int, draws: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        stages, shapes = stages_of(2, 3)
        torch.rand(draws)
        chain = build_chain(
            stages, (1, 1, 1), shapes[0], make_task(), ObjectiveConfig(name="dgl"),
            heads=HeadConfig(auxiliary="downstream"), seed=seed,
        )  # fmt: skip
        return [p for block in chain if block.auxiliary for p in block.auxiliary.parameters()]

    pairs = zip(weights(1, 0), weights(1, 5), weights(2, 0), strict=True)
    same = [(torch.equal(a, b), torch.equal(a, c)) for a, b, c in pairs]
    assert set(same) == {(True, False)}
