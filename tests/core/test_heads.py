"""The three readouts, pooling in front of them, and output heads."""

import pytest
import torch
from torch import nn

from brainage.core.config import HeadConfig
from brainage.core.heads import (
    BlockWorkers,
    GroupWorkers,
    OutputHead,
    PooledFeatures,
    UnitWorkers,
)


def changed_workers(
    workers: nn.Module, features: torch.Tensor, altered: torch.Tensor
) -> list[bool]:
    return (workers(features) != workers(altered)).flatten(2).any(-1).any(0).tolist()


def test_block_workers_read_all_features_and_group_workers_their_share() -> None:
    pooled = torch.randn(2, 6, 4)
    altered = pooled.clone()
    altered[:, 0] += 1.0
    config = HeadConfig(num_lf_workers=3)
    for workers, touched in (
        (BlockWorkers(6 * 4, 2, config, [0.0, 0.0]), [True] * 3),
        (GroupWorkers(6, 4, 2, config, [0.0, 0.0]), [True, False, False]),
    ):
        assert workers(pooled).shape == (2, 3, 2)
        assert changed_workers(workers, pooled, altered) == touched


def test_a_group_worker_is_a_linear_layer_on_its_own_channels() -> None:
    workers = GroupWorkers(6, 4, 2, HeadConfig(num_lf_workers=3), [0.5, -1.0])
    pooled = torch.randn(5, 6, 4)
    for w in range(3):
        own = pooled[:, 2 * w : 2 * w + 2].flatten(1)
        expected = own @ workers.weight_WFC[w] + torch.tensor([0.5, -1.0])
        assert torch.allclose(workers(pooled)[:, w], expected, atol=1e-6)


def test_group_workers_that_cannot_share_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="6 channels do not divide among 4 workers"):
        GroupWorkers(6, 1, 2, HeadConfig(num_lf_workers=4), [0.0, 0.0])


@pytest.mark.parametrize("spatial", [(), (5,), (3, 4), (2, 3, 4)])
def test_unit_workers_are_averages_of_their_own_channels_without_a_parameter(
    spatial: tuple[int, ...],
) -> None:
    workers = UnitWorkers(12, 4, 3)
    features = torch.randn(2, 12, *spatial)
    averages = features.reshape(2, 12, -1).mean(2)
    assert torch.allclose(workers(features), averages.reshape(2, 3, 4))
    assert list(workers.parameters()) == []
    altered = features.clone()
    altered[:, 7] += 1.0
    assert changed_workers(workers, features, altered) == [False, True, False]


def test_units_can_count_their_workers_themselves() -> None:
    assert UnitWorkers(320, 10, None).num_workers == 32


@pytest.mark.parametrize(
    ("channels", "num_workers", "words"),
    [(12, 2, "2 workers of 5"), (12, None, "workers of 5"), (3, None, "workers of 5")],
)
def test_units_that_no_worker_owns_are_refused(
    channels: int, num_workers: int | None, words: str
) -> None:
    with pytest.raises(ValueError, match=f"{channels} channels are not {words} outputs"):
        UnitWorkers(channels, 5, num_workers)


@pytest.mark.parametrize("kind", ["block", "group"])
def test_every_fresh_worker_starts_from_the_same_bias(kind: str) -> None:
    config, bias = HeadConfig(num_lf_workers=3), [0.5, -2.0]
    workers = {
        "block": BlockWorkers(6, 2, config, bias),
        "group": GroupWorkers(6, 1, 2, config, bias),
    }[kind]
    outputs = workers(torch.zeros(2, 6, 1))
    assert torch.equal(outputs, torch.tensor(bias).expand(2, 3, 2))


def test_workers_differ_from_one_another() -> None:
    outputs = BlockWorkers(6, 2, HeadConfig(num_lf_workers=4), [0.0, 0.0])(torch.randn(1, 6, 1))
    assert len({tuple(each) for each in outputs[0].tolist()}) == 4


@pytest.mark.parametrize(
    ("shape", "positions"), [((7,), 1), ((7, 3, 9, 4), 3 * 4 * 4), ((2, 10), 4), ((2, 5, 5), 16)]
)
def test_pooling_keeps_at_most_the_asked_positions(shape: tuple[int, ...], positions: int) -> None:
    pool = PooledFeatures(shape, 4)
    assert pool.num_positions == positions
    assert pool(torch.randn(3, *shape)).shape == (3, shape[0], positions)


def test_pooling_to_one_position_is_the_mean() -> None:
    features = torch.randn(2, 3, 4, 5, 6)
    assert torch.allclose(
        PooledFeatures((3, 4, 5, 6), 1)(features)[..., 0], features.mean((2, 3, 4))
    )


@pytest.mark.parametrize("hidden_size", [None, 7])
def test_a_probe_reads_without_teaching(hidden_size: int | None) -> None:
    for probe in (True, False):
        config = HeadConfig(hidden_size=hidden_size)
        head = OutputHead(12, 2, config, [0.0, 0.0], probe=probe)
        pooled = torch.randn(3, 4, 3, requires_grad=True)
        head(pooled).square().sum().backward()
        assert (pooled.grad is None) == probe
        assert all(parameter.grad is not None for parameter in head.parameters())


def test_an_output_head_has_a_hidden_layer_where_one_is_asked_for() -> None:
    sizes = []
    for hidden_size in (None, 7):
        head = OutputHead(12, 2, HeadConfig(hidden_size=hidden_size), [0.0] * 2, probe=False)
        sizes.append(sum(p.numel() for p in head.parameters()))
    assert sizes == [12 * 2 + 2, 12 * 7 + 7 + 7 * 2 + 2]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_stands_before_every_head(dropout: float) -> None:
    config = HeadConfig(num_lf_workers=2, dropout=dropout)
    pooled = torch.ones(1, 64, 1)
    for head in (
        BlockWorkers(64, 3, config, [0.0] * 3),
        GroupWorkers(64, 1, 3, config, [0.0] * 3),
        OutputHead(64, 3, config, [0.0] * 3, probe=False),
    ):
        assert torch.equal(head(pooled), head(pooled)) == (dropout == 0)
        assert torch.equal(head.eval()(pooled), head(pooled))
