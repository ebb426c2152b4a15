"""Broken copies of the method, each of which one of its properties has to find out.

Isolation has such tests of its own, in ``test_isolation.py``.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from brainage.core import leaders as leaders_module
from brainage.core import objectives as objectives_module
from brainage.core.config import ObjectiveConfig, TaskConfig
from brainage.core.tasks import fit_task
from tests.core.mutants import mutant

LABELS = torch.tensor([0, 2, 1, 2])
TASK = fit_task(TaskConfig(name="classification", num_classes=3), LABELS)


def worker_outputs(workers: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (4, workers, 3)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def counts_are_ceilings(names: Any) -> bool:
    return all(
        names.count_leaders(workers, percent / 100) == max(1, -(-percent * workers // 100))
        for workers in range(1, 41)
        for percent in range(1, 101)
    )


def as_many_lead_as_are_counted(names: Any) -> bool:
    mask = names.select_leaders(torch.rand(3, 7), 0.4).leaders_BW
    return bool((mask.sum(1) == 3).all())


def ties_go_to_the_lower_index(names: Any) -> bool:
    losses = torch.zeros(3, 50)
    losses[:, 20:] = -1.0
    mask, best = names.select_leaders(losses, 0.2)
    return best.tolist() == [20] * 3 and bool(mask[:, 20:30].all())


def batches_choose_by_their_mean(names: Any) -> bool:
    losses = torch.tensor([[0.0, 3.0, 8.0], [9.0, 4.0, 0.5]])
    return names.select_leaders(losses, 0.3, "batch").best_B.tolist() == [1, 1]


def memory_is_a_running_mean(names: Any) -> bool:
    history = names.LossHistory(2, 0.75)
    for losses in ([[4.0, 1.0]], [[0.0, 1.0]]):
        history.observe(torch.tensor(losses))
    return torch.allclose(history.running_W, torch.tensor([3.0, 1.0]))


def epochs_count_samples(names: Any) -> bool:
    """The epoch's mean is over samples, and stays while the next epoch goes on."""
    history = names.LossHistory(1, 0.5)
    for losses in ([[1.0], [1.0], [1.0]], [[5.0]]):
        history.observe(torch.tensor(losses))
    history.end_epoch()
    history.observe(torch.tensor([[9.0]]))
    first = float(history.last_epoch_W)
    history.end_epoch()
    return (first, float(history.last_epoch_W)) == (2.0, 9.0)


PROPERTIES_OF_LEADERS = [
    counts_are_ceilings,
    as_many_lead_as_are_counted,
    ties_go_to_the_lower_index,
    batches_choose_by_their_mean,
    memory_is_a_running_mean,
    epochs_count_samples,
]


@pytest.mark.parametrize("holds", PROPERTIES_OF_LEADERS)
def test_leadership_has_its_properties(holds: Any) -> None:
    assert holds(leaders_module)


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        ("math.ceil(round(", "math.floor(round(", counts_are_ceilings),
        ("math.ceil(round(", "round(round(", counts_are_ceilings),
        (
            "round(leader_fraction * num_workers, 9)",
            "leader_fraction * num_workers",
            counts_are_ceilings,
        ),
        ("return max(1, math", "return 1 + max(1, math", as_many_lead_as_are_counted),
        ("order[:, :num_leaders]", "order[:, : num_leaders + 1]", as_many_lead_as_are_counted),
        (
            "losses.sort(dim=1, stable=True).indices",
            "losses.shape[1] - 1 - losses.flip(1).sort(dim=1, stable=True).indices",
            ties_go_to_the_lower_index,
        ),
        (
            "losses.sort(dim=1, stable=True).indices",
            "losses.topk(losses.shape[1], largest=False).indices",
            ties_go_to_the_lower_index,
        ),
        ("losses_BW.mean(dim=0, keepdim=True)", "losses_BW[:1]", batches_choose_by_their_mean),
        ("self.decay, 0.0)", "1 - self.decay, 0.0)", memory_is_a_running_mean),
        (
            "torch.where(self.num_batches > 0, self.decay, 0.0)",
            "self.decay",
            memory_is_a_running_mean,
        ),
        ("losses_BW.sum(0)", "losses_BW.mean(0)", epochs_count_samples),
        ("self.num_epochs > 0, self.last", "self.num_epochs < 0, self.last", epochs_count_samples),
        ("self.epoch_sum_W.zero_()", "pass", epochs_count_samples),
    ],
)
def test_broken_leadership_is_found(old: str, new: str, holds: Any) -> None:
    assert not holds(SimpleNamespace(**mutant(leaders_module, old, new)))


def parts(names: Any, config: ObjectiveConfig) -> tuple[Any, torch.Tensor]:
    outputs = worker_outputs()
    return names.leader_follower_loss(outputs, LABELS, TASK, config), outputs


def the_target_carries_no_gradient(names: Any) -> bool:
    """The best leader is not drawn towards its followers."""
    for distance in ("mse_probability", "kl", "mse_logit", "geman_mcclure"):
        config = ObjectiveConfig(leader_fraction=0.3, follower_distance=distance)
        loss, outputs = parts(names, config)
        (gradient,) = torch.autograd.grad(loss.follower, outputs)
        if gradient[torch.arange(4), loss.leadership.best_B].abs().max() > 0:
            return False
    return True


def only_followers_follow(names: Any) -> bool:
    """Moving a leader that is not the best changes nothing in the followers' loss."""
    config = ObjectiveConfig(leader_fraction=0.5)
    loss, outputs = parts(names, config)
    moved = outputs.detach().clone()
    # A hair towards a flatter distribution keeps the order of the losses.
    others = loss.leadership.leaders_BW.clone()
    others[torch.arange(4), loss.leadership.best_B] = False
    moved[others] *= 1 - 1e-4
    again = names.leader_follower_loss(moved, LABELS, TASK, config)
    assert torch.equal(again.leadership.leaders_BW, loss.leadership.leaders_BW)
    return bool(torch.equal(again.follower, loss.follower.detach()))


def losses_are_means(names: Any) -> bool:
    """Of equal followers and leaders the mean is what each of them has, however many they are."""
    outputs = worker_outputs().detach()
    outputs[:, 1:] = outputs[:, 1:2]
    outputs[0, :] = outputs[1, :]
    found = []
    for fraction in (0.17, 0.5):
        config = ObjectiveConfig(leader_fraction=fraction, follower_distance="mse_logit")
        same = outputs.clone()
        same[:, 0] = torch.nn.functional.one_hot(LABELS, 3).double() * 9
        found.append(names.leader_follower_loss(same, LABELS, TASK, config).follower)
    return bool(torch.allclose(*found))


def the_best_leader_is_the_target(names: Any) -> bool:
    """Followers that answer like the best leader are at no distance, and another is."""
    outputs = worker_outputs(4).detach()
    outputs[:, :3] = torch.nn.functional.one_hot(LABELS, 3).double()[:, None] * 9
    config = ObjectiveConfig(leader_fraction=0.25, follower_distance="mse_logit")
    loss = names.leader_follower_loss(outputs, LABELS, TASK, config)
    away = (outputs[:, 3] - outputs[:, 0]).square().mean()
    return bool(torch.allclose(loss.follower, away / 3))


PROPERTIES_OF_LOSSES = [
    the_target_carries_no_gradient,
    only_followers_follow,
    losses_are_means,
    the_best_leader_is_the_target,
]


@pytest.mark.parametrize("holds", PROPERTIES_OF_LOSSES)
def test_losses_have_their_properties(holds: Any) -> None:
    assert holds(objectives_module)


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        ("index_B11).detach()", "index_B11)", the_target_carries_no_gradient),
        (
            "~leadership.leaders_BW, num_workers - num_leaders",
            "torch.ones_like(leadership.leaders_BW), num_workers",
            only_followers_follow,
        ),
        (
            "~leadership.leaders_BW, num_workers - num_leaders",
            "~leadership.leaders_BW, num_workers",
            losses_are_means,
        ),
        (
            "leadership.best_B[:, None, None]",
            "losses_BW.argmax(1)[:, None, None]",
            the_best_leader_is_the_target,
        ),
    ],
)
def test_broken_losses_are_found(old: str, new: str, holds: Any) -> None:
    assert not holds(SimpleNamespace(**mutant(objectives_module, old, new)))
