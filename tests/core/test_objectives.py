"""Losses against a plain NumPy reading of the definitions, and where their gradients go."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brainage.core.blocks import BlockOutputs
from brainage.core.config import ObjectiveConfig, TaskConfig
from brainage.core.leaders import LossHistory
from brainage.core.objectives import Objective, follower_distance, leader_follower_loss
from brainage.core.tasks import Task, fit_task
from tests.core import oracle

AGES = torch.tensor([20.0, 41.5, 63.0, 80.0], dtype=torch.float64)
CLASSES = torch.tensor([0, 2, 1, 2])
TASKS = {
    "regression": TaskConfig(name="regression"),
    "regression_mse": TaskConfig(name="regression", loss="mse"),
    "soft_bins": TaskConfig(name="soft_bins", num_bins=8, l1_weight=0.7),
    "classification": TaskConfig(name="classification", num_classes=3),
}
DISTANCES = ["mse_logit", "geman_mcclure", "mse_probability", "kl"]
PAIRS = [
    (name, distance)
    for name in TASKS
    for distance in DISTANCES
    if not name.startswith("regression") or distance in {"mse_logit", "geman_mcclure"}
]
PRECISIONS = {torch.float64: 1e-9, torch.float32: 2e-4}


def make(name: str) -> tuple[Task, torch.Tensor]:
    targets = CLASSES if name == "classification" else AGES
    return fit_task(TASKS[name], targets), targets


def outputs(task: Task, seed: int, workers: int = 5, batch: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, workers, task.output_size)
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64)


def far_apart(ranking_BW: np.ndarray) -> bool:
    """Whether rounding to float32 leaves the workers' order as it is."""
    return bool((np.diff(np.sort(ranking_BW, axis=1), axis=1) > 1e-4).all())


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("selection", ["sample", "batch"])
@pytest.mark.parametrize(("name", "distance"), PAIRS)
@settings(max_examples=12)
@given(data=st.data(), workers=st.integers(1, 7), seed=st.integers(0, 9999))
def test_losses_of_one_batch_agree_with_the_oracle(
    *,
    name: str,
    distance: str,
    selection: str,
    dtype: torch.dtype,
    data: st.DataObject,
    workers: int,
    seed: int,
) -> None:
    num_leaders = data.draw(st.integers(1, workers), label="leaders")
    task, targets = make(name)
    config = ObjectiveConfig(
        leader_fraction=num_leaders / workers, selection=selection, follower_distance=distance
    )
    y = outputs(task, seed, workers).to(dtype)
    t = targets.to(dtype) if targets.is_floating_point() else targets
    losses = oracle.prediction_losses(task, y.double().numpy(), targets.numpy())
    ranking = oracle.ranking(losses, selection)
    assume(dtype == torch.float64 or far_apart(ranking))
    leader, follower = oracle.leader_follower_loss(
        losses, ranking, y.double().numpy(), num_leaders, config
    )
    got = leader_follower_loss(y, t, task, config)
    assert got.leader.dtype == got.follower.dtype == dtype
    assert float(got.leader) == pytest.approx(leader, rel=PRECISIONS[dtype], abs=1e-6)
    assert float(got.follower) == pytest.approx(follower, rel=PRECISIONS[dtype], abs=1e-6)
    assert got.leadership.leaders_BW.sum(1).tolist() == [num_leaders] * len(t)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("selection", ["epoch", "running"])
@pytest.mark.parametrize(("name", "distance"), PAIRS)
@settings(max_examples=8)
@given(num_leaders=st.integers(1, 5), seed=st.integers(0, 9999), decay=st.floats(0.1, 0.95))
def test_losses_chosen_by_memory_agree_with_the_oracle(
    *,
    name: str,
    distance: str,
    selection: str,
    dtype: torch.dtype,
    num_leaders: int,
    seed: int,
    decay: float,
) -> None:
    """Three epochs of batches of four and two samples, so that batches weigh differently."""
    task, targets = make(name)
    config = ObjectiveConfig(
        leader_fraction=num_leaders / 5, selection=selection, follower_distance=distance
    )
    history = LossHistory(5, decay).to(dtype)
    memory = oracle.Memory(5, decay)
    for epoch in range(3):
        for part in (slice(0, 4), slice(1, 3)):
            y = outputs(task, seed * 7 + epoch)[part].to(dtype)
            t = targets[part].to(dtype) if targets.is_floating_point() else targets[part]
            losses = oracle.prediction_losses(task, y.double().numpy(), t.double().numpy())
            ranking = oracle.ranking(losses, selection, memory)
            assume(dtype == torch.float64 or far_apart(ranking))
            expected = oracle.leader_follower_loss(
                losses, ranking, y.double().numpy(), num_leaders, config
            )
            got = leader_follower_loss(y, t, task, config, history=history)
            found = (float(got.leader), float(got.follower))
            assert found == pytest.approx(expected, rel=PRECISIONS[dtype], abs=1e-6)
        history.end_epoch()
        memory.end_epoch()


@pytest.mark.parametrize("selection", ["epoch", "running"])
def test_choosing_by_memory_without_one_is_refused(selection: str) -> None:
    task, targets = make("soft_bins")
    config = ObjectiveConfig(leader_fraction=0.5, selection=selection)
    with pytest.raises(ValueError, match=f"selection {selection} needs a history"):
        leader_follower_loss(outputs(task, 0), targets, task, config)


def test_everyone_leading_has_no_follower_loss() -> None:
    task, targets = make("soft_bins")
    got = leader_follower_loss(outputs(task, 0), targets, task, ObjectiveConfig())
    assert float(got.follower) == 0.0
    assert got.everyone_leads


@pytest.mark.parametrize("distance", DISTANCES)
def test_followers_learn_and_their_leader_does_not(distance: str) -> None:
    task, targets = make("classification")
    y = outputs(task, 0, workers=6).requires_grad_()
    config = ObjectiveConfig(leader_fraction=0.3, follower_distance=distance)
    got = leader_follower_loss(y, targets, task, config)
    (gradient,) = torch.autograd.grad(got.follower, y)
    moved = gradient.abs().sum(-1) > 0
    assert torch.equal(moved, ~got.leadership.leaders_BW)


def test_leader_loss_teaches_leaders_only() -> None:
    task, targets = make("soft_bins")
    y = outputs(task, 0, workers=6).requires_grad_()
    got = leader_follower_loss(y, targets, task, ObjectiveConfig(leader_fraction=0.5))
    (gradient,) = torch.autograd.grad(got.leader, y)
    assert torch.equal(gradient.abs().sum(-1) > 0, got.leadership.leaders_BW)


@pytest.mark.parametrize("distance", ["kl", "mse_probability"])
def test_probabilities_of_a_single_number_are_refused(distance: str) -> None:
    task, targets = make("regression")
    config = ObjectiveConfig(leader_fraction=0.5, follower_distance=distance)
    with pytest.raises(ValueError, match="distribution"):
        leader_follower_loss(torch.zeros(4, 3, 1, dtype=torch.float64), targets, task, config)


@given(st.floats(1e-3, 1e3), st.integers(0, 99))
def test_geman_mcclure_is_bounded_free_of_scale_and_fades_far_away(
    factor: float, seed: int
) -> None:
    task, _ = make("regression")
    y = outputs(task, seed).requires_grad_()
    best = y[:, :1].detach()
    near = follower_distance(y, best, task, "geman_mcclure")
    scaled = follower_distance(factor * y, factor * best, task, "geman_mcclure")
    assert float(near.detach().min()) >= 0
    assert float(near.detach().max()) < 1
    assert torch.allclose(near, scaled, atol=1e-6)
    (gradient,) = torch.autograd.grad(near.sum(), y)
    squared = (y - best).square().mean(-1).detach()
    scale = squared.mean()
    # d/dy of d / (d + s) with s constant: 2 (y - best) s / (d + s)^2.
    expected = 2 * (y - best).detach()[..., 0] * scale / (squared + scale).square()
    assert torch.allclose(gradient[..., 0], expected, rtol=1e-6, atol=1e-9)


def block_outputs(task: Task) -> BlockOutputs:
    y = outputs(task, 3, workers=6)
    return BlockOutputs(torch.zeros(4, 2), y[:, :5], y[:, 5])


@pytest.mark.parametrize(
    ("progress", "num_leaders"), [(0.0, 5), (0.24, 5), (0.26, 4), (0.5, 3), (0.76, 2), (0.999, 2)]
)
def test_the_leader_fraction_moves_linearly_to_its_end(progress: float, num_leaders: int) -> None:
    """From all of five workers to one; ceil keeps the higher count until the next is reached."""
    task, targets = make("soft_bins")
    config = ObjectiveConfig(leader_fraction=1.0, final_leader_fraction=0.2)
    loss = Objective(config, task, 2).block_loss(0, block_outputs(task), targets, progress=progress)
    fixed = ObjectiveConfig(leader_fraction=num_leaders / 5)
    expected = Objective(fixed, task, 2).block_loss(0, block_outputs(task), targets)
    assert torch.equal(loss.parts["leader_loss"], expected.parts["leader_loss"])
    assert torch.equal(loss.parts["follower_loss"], expected.parts["follower_loss"])


@pytest.mark.parametrize(
    ("warmup", "progress", "share"), [(0.4, 0.0, 0), (0.4, 0.1, 0.25), (0.4, 0.5, 1), (0.0, 0.0, 1)]
)
def test_the_followers_weight_grows_from_zero(warmup: float, progress: float, share: float) -> None:
    task, targets = make("soft_bins")
    config = ObjectiveConfig(
        leader_fraction=0.4, follower_weight=3.0, follower_warmup_fraction=warmup
    )
    loss = Objective(config, task, 1).block_loss(0, block_outputs(task), targets, progress=progress)
    parts = loss.parts
    expected = parts["leader_loss"] + share * 3.0 * parts["follower_loss"] + parts["output_loss"]
    assert loss.own is not None
    assert torch.allclose(loss.own, expected)
    assert torch.equal(loss.own, parts["loss"])


@pytest.mark.parametrize(("leader", "follower"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_leader_only_and_follower_only_are_weights_of_zero(leader: float, follower: float) -> None:
    task, targets = make("classification")
    config = ObjectiveConfig(leader_fraction=0.4, leader_weight=leader, follower_weight=follower)
    hidden = block_outputs(task)._replace(prediction_BC=None)
    loss = Objective(config, task, 2).block_loss(0, hidden, targets)
    parts = loss.parts
    assert loss.own is not None
    assert torch.allclose(
        loss.own, leader * parts["leader_loss"] + follower * parts["follower_loss"]
    )


@pytest.mark.parametrize("name", ["regression", "soft_bins", "classification"])
def test_workers_and_head_measured_together_are_what_they_are_alone(name: str) -> None:
    task, targets = make(name)
    whole = block_outputs(task)
    objective = Objective(ObjectiveConfig(), task, 1)
    parts = objective.block_loss(0, whole, targets).parts
    head = task.prediction_loss(whole.prediction_BC, targets).mean()
    workers = task.prediction_loss(whole.workers_BWC, targets[:, None]).mean()
    assert torch.allclose(parts["output_loss"], head, rtol=1e-12)
    assert torch.allclose(parts["leader_loss"], workers, rtol=1e-12)
