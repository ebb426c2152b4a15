"""Similarity matching against its definition in NumPy, and where its share of the loss goes."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from brainage.core.blocks import BlockOutputs
from brainage.core.config import ObjectiveConfig
from brainage.core.objectives import Objective
from brainage.core.similarity import SimilarityHead, similarity_matching_loss
from tests.core.helpers import make_ages, make_engine, make_task


def oracle(statistics: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared difference of the correlations between samples, pair by pair."""
    batch = len(statistics)
    squared = []
    for a in range(batch):
        for b in range(batch):
            found, wanted = (
                np.dot(x[a] - x[a].mean(), x[b] - x[b].mean())
                / np.linalg.norm(x[a] - x[a].mean())
                / np.linalg.norm(x[b] - x[b].mean())
                for x in (statistics, targets)
            )
            squared.append((found - wanted) ** 2)
    return float(np.mean(squared))


@given(st.integers(2, 6), st.integers(2, 9), st.integers(0, 999))
def test_the_loss_agrees_with_numpy(batch: int, channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    statistics = torch.randn(batch, channels, generator=generator, dtype=torch.float64)
    targets = torch.rand(batch, 5, generator=generator, dtype=torch.float64)
    # Samples that are nearly constant have no direction; the loss then leans on its epsilon.
    assume(all(x.std(1, correction=0).min() > 0.05 for x in (statistics, targets)))
    expected = oracle(statistics.numpy(), targets.numpy())
    assert float(similarity_matching_loss(statistics, targets)) == pytest.approx(expected, abs=1e-4)


def test_features_that_are_alike_where_targets_are_have_no_loss() -> None:
    targets = torch.eye(3)[[0, 1, 2, 0, 1]]
    assert float(similarity_matching_loss(4 * targets + 1, targets)) < 1e-10
    assert float(similarity_matching_loss(targets[[1, 0, 2, 0, 1]], targets)) > 0.1
    assert float(similarity_matching_loss(torch.randn(1, 4), targets[:1])) < 1e-10


def test_targets_carry_no_gradient() -> None:
    statistics = torch.randn(4, 3, requires_grad=True)
    targets = torch.rand(4, 5, requires_grad=True)
    similarity_matching_loss(statistics, targets).backward()
    assert statistics.grad is not None
    assert targets.grad is None


@pytest.mark.parametrize("spatial", [(9,), (4, 5), (3, 4, 2)])
def test_maps_are_read_by_the_deviation_of_a_convolution(spatial: tuple[int, ...]) -> None:
    head = SimilarityHead((6, *spatial))
    features = torch.randn(3, 6, *spatial)
    mapped = head.layer(features).detach().numpy().reshape(3, 6, -1)
    expected = torch.from_numpy(mapped.std(axis=2))
    assert torch.allclose(head(features), expected, atol=1e-4)
    assert tuple(head.layer.kernel_size) == (3,) * len(spatial)


@pytest.mark.parametrize("shape", [(6,), (6, 1, 1)])
def test_features_without_positions_are_read_as_they_are_mapped(shape: tuple[int, ...]) -> None:
    head = SimilarityHead(shape)
    features = torch.randn(3, *shape)
    assert torch.equal(head(features), head.layer(features).reshape(3, 6))


@pytest.mark.parametrize(("weight", "beta"), [(None, 0.99), (0.4, 0.4), (0.0, 0.0)])
def test_a_hidden_block_of_predsim_mixes_both_losses(weight: float | None, beta: float) -> None:
    task = make_task("classification")
    labels = torch.tensor([0, 3, 1, 1])
    prediction, statistics = torch.randn(4, 4), torch.randn(4, 6)
    objective = Objective(ObjectiveConfig(name="predsim", similarity_weight=weight), task, 2)
    outputs = BlockOutputs(torch.zeros(4, 6), None, prediction, statistics)
    loss = objective.block_loss(0, outputs, labels)
    similarity = oracle(statistics.double().numpy(), np.eye(4)[labels.numpy()])
    expected = beta * similarity + (1 - beta) * float(
        torch.nn.functional.cross_entropy(prediction, labels)
    )
    assert float(loss.own) == pytest.approx(expected, abs=1e-4)
    assert loss.shared is None


def test_the_output_block_of_predsim_has_its_prediction_loss_alone() -> None:
    engine = make_engine(ObjectiveConfig(name="predsim"))
    reports = engine.train_step(make_ages(), 0, 0.01)
    assert ["similarity_loss" in each for each in reports] == [True, True, False]
    assert float(reports[-1]["loss"]) == float(reports[-1]["output_loss"])


@pytest.mark.parametrize("rule", ["dgl", "greedy", "lfnn", "lfnn_l"])
def test_other_local_rules_can_match_similarities_too(rule: str) -> None:
    engine = make_engine(ObjectiveConfig(name=rule, similarity_weight=0.5))
    assert [block.similarity is None for block in engine.chain] == [False, False, True]
    plain = make_engine(ObjectiveConfig(name=rule))
    assert all(block.similarity is None for block in plain.chain)


def test_soft_bins_compare_distributions_of_ages() -> None:
    """Like ages want like features: the nearer two ages, the more alike their soft targets."""
    task = make_task("soft_bins")
    targets = task.target_distribution(torch.tensor([30.0, 32.0, 60.0]))
    near = similarity_matching_loss(targets[[0, 1]], targets[[0, 1]])
    statistics = targets[[0, 0, 2]]
    assert float(near) < 1e-10
    assert float(similarity_matching_loss(statistics, targets)) < float(
        similarity_matching_loss(targets[[0, 2, 0]], targets)
    )
