"""Losses against a plain NumPy reading of the definitions, and where their gradients go."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage.core.config import ObjectiveConfig, TaskConfig
from brainage.core.objectives import leader_follower_loss
from brainage.core.tasks import Task, fit_task

AGES = torch.tensor([20.0, 41.5, 63.0, 80.0], dtype=torch.float64)
CLASSES = torch.tensor([0, 2, 1, 2])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def make(name: str) -> tuple[Task, torch.Tensor]:
    if name == "classification":
        return fit_task(TaskConfig(name="classification", num_classes=3), CLASSES), CLASSES
    return fit_task(TaskConfig(name=name, num_bins=8), AGES), AGES


def oracle_prediction_loss(task: Task, name: str, y: np.ndarray, target: float) -> float:
    """Loss of one worker's output for one sample."""
    if name == "classification":
        return float(-np.log(softmax(y)[int(target)]))
    if name == "regression":
        return abs(float(y[0]) - (target - task.mean_years) / task.sd_years)
    centres = task.first_centre_years + task.bin_width_years * np.arange(len(y))
    q = softmax(-0.5 * ((centres - target) / task.bin_width_years / task.softness) ** 2)
    p = softmax(y)
    return float((q * np.log(q / p)).sum() + abs((p * centres).sum() - target) / task.sd_years)


def oracle_distance(kind: str, y: np.ndarray, best: np.ndarray) -> float:
    if kind == "mse_logit":
        return float(((y - best) ** 2).mean())
    p, q = softmax(y), softmax(best)
    if kind == "kl":
        return float((q * np.log(q / p)).sum())
    return float(((p - q) ** 2).mean())


def oracle(
    task: Task, name: str, config: ObjectiveConfig, y: np.ndarray, t: np.ndarray
) -> tuple[float, float]:
    """Mean loss of leaders and mean distance of followers, one sample and worker at a time."""
    batch, workers, _ = y.shape
    losses = np.array(
        [
            [oracle_prediction_loss(task, name, y[b, w], t[b]) for w in range(workers)]
            for b in range(batch)
        ]
    )
    ranking = losses if config.selection == "sample" else np.tile(losses.mean(0), (batch, 1))
    k = int(np.ceil(round(config.leader_fraction * workers, 9)))
    lead, follow = [], []
    for b in range(batch):
        order = sorted(range(workers), key=lambda w: (ranking[b, w], w))
        lead += [losses[b, w] for w in order[:k]]
        follow += [
            oracle_distance(config.follower_distance, y[b, w], y[b, order[0]]) for w in order[k:]
        ]
    return float(np.mean(lead)), float(np.mean(follow)) if follow else 0.0


@pytest.mark.parametrize("name", ["regression", "soft_bins", "classification"])
@pytest.mark.parametrize("selection", ["sample", "batch"])
@pytest.mark.parametrize("distance", ["mse_logit", "mse_probability", "kl"])
@settings(max_examples=15, deadline=None)
@given(fraction=st.sampled_from([0.05, 0.2, 0.34, 0.5, 0.8, 1.0]), seed=st.integers(0, 999))
def test_losses_agree_with_the_oracle(
    name: str, selection: str, distance: str, fraction: float, seed: int
) -> None:
    if name == "regression" and distance != "mse_logit":
        return
    task, targets = make(name)
    config = ObjectiveConfig(
        leader_fraction=fraction, selection=selection, follower_distance=distance
    )
    generator = torch.Generator().manual_seed(seed)
    y = 2 * torch.randn(4, 5, task.output_size, generator=generator, dtype=torch.float64)
    got = leader_follower_loss(y, targets, task, config)
    leader, follower = oracle(task, name, config, y.numpy(), targets.numpy())
    assert float(got.leader) == pytest.approx(leader, rel=1e-9)
    assert float(got.follower) == pytest.approx(follower, rel=1e-9, abs=1e-12)


def test_everyone_leading_has_no_follower_loss() -> None:
    task, targets = make("soft_bins")
    y = torch.randn(4, 6, task.output_size, dtype=torch.float64)
    got = leader_follower_loss(y, targets, task, ObjectiveConfig(leader_fraction=1.0))
    assert float(got.follower) == 0.0


@pytest.mark.parametrize("distance", ["mse_logit", "mse_probability", "kl"])
def test_followers_learn_and_their_leader_does_not(distance: str) -> None:
    task, targets = make("classification")
    y = torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)
    config = ObjectiveConfig(leader_fraction=0.3, follower_distance=distance)
    got = leader_follower_loss(y, targets, task, config)
    (gradient,) = torch.autograd.grad(got.follower, y)
    moved = gradient.abs().sum(-1) > 0
    assert torch.equal(moved, ~got.leadership.leaders_BW)


def test_leader_loss_teaches_leaders_only() -> None:
    task, targets = make("soft_bins")
    y = torch.randn(4, 6, task.output_size, dtype=torch.float64, requires_grad=True)
    got = leader_follower_loss(y, targets, task, ObjectiveConfig(leader_fraction=0.5))
    (gradient,) = torch.autograd.grad(got.leader, y)
    assert torch.equal(gradient.abs().sum(-1) > 0, got.leadership.leaders_BW)


def test_probabilities_of_a_single_number_are_refused() -> None:
    task, targets = make("regression")
    config = ObjectiveConfig(leader_fraction=0.5, follower_distance="kl")
    with pytest.raises(ValueError, match="distribution"):
        leader_follower_loss(torch.zeros(4, 3, 1, dtype=torch.float64), targets, task, config)
