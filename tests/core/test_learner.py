"""One's own network and tensors, and single pieces in a loop of one's own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from brainage.core.complexity import adaptive_leader_fraction, data_complexity
from brainage.core.config import BlocksConfig, ObjectiveConfig, TaskConfig
from brainage.core.learner import Learner
from brainage.core.training_config import OptimizerConfig

CLASSES = TaskConfig(name="classification", num_classes=3)


def make_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU())


def make_classes(num_samples: int = 240) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(num_samples, 1, 4, 4, generator=generator)
    labels = images.flatten(1)[:, :12].reshape(-1, 3, 4).sum(2).argmax(1)
    return images, labels


def fitted(**settings: object) -> Learner:
    learner = Learner(
        make_network(),
        CLASSES,
        (1, 4, 4),
        blocks=BlocksConfig(num_blocks=2),
        optimizer=OptimizerConfig(learning_rate=5e-3),
        **settings,
    )
    learner.fit(*make_classes(), epochs=20)
    return learner


def test_a_network_of_ones_own_learns_classes_and_every_block_predicts() -> None:
    images, labels = make_classes()
    learner = fitted()
    by_block = learner.predict_by_block(images)
    assert set(by_block) == {0, 1}
    assert float((learner.predict(images) == labels).float().mean()) > 0.9
    assert torch.equal(learner.predict(images), by_block[1])
    assert float((learner.predict_together(images) == labels).float().mean()) > 0.85


def test_the_given_modules_are_the_ones_that_learn() -> None:
    network = make_network()
    before = [p.clone() for p in network.parameters()]
    Learner(network, CLASSES, (1, 4, 4), blocks=BlocksConfig(num_blocks=2)).fit(
        *make_classes(), epochs=1
    )
    assert not any(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_ages_come_back_in_years() -> None:
    images, _ = make_classes()
    ages = 45 + 10 * images.flatten(1)[:, :4].sum(1)
    learner = Learner(
        make_network(),
        TaskConfig(name="regression"),
        (1, 4, 4),
        blocks=BlocksConfig(num_blocks=2),
        optimizer=OptimizerConfig(learning_rate=5e-3),
    )
    result = learner.fit(images, ages, epochs=25, validation=(images[:40], ages[:40]))
    error = float((learner.predict(images) - ages).abs().mean())
    assert error < 0.3 * float((ages - ages.mean()).abs().mean())
    assert result.history[-1]["val/mae_years"] < result.history[0]["val/mae_years"]


def test_the_same_seed_gives_the_same_network() -> None:
    images, _ = make_classes()
    rule = ObjectiveConfig(leader_fraction=0.5)
    first, second = (fitted(objective=rule).predict_by_block(images) for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_an_untrained_learner_says_what_to_call() -> None:
    with pytest.raises(ValueError, match="call fit first"):
        Learner(make_network(), CLASSES, (1, 4, 4)).predict(make_classes()[0])


def test_an_adaptive_leader_fraction_follows_the_given_inputs() -> None:
    images, labels = make_classes(40)
    learner = Learner(
        make_network(),
        CLASSES,
        (1, 4, 4),
        blocks=BlocksConfig(num_blocks=2),
        objective=ObjectiveConfig(adaptive_leader_fraction=True),
    )
    learner.fit(images, labels, epochs=1)
    fraction = learner.engine.objective.leader_fraction(0.0)
    assert fraction == adaptive_leader_fraction(data_complexity(images)) < 1


def test_cuts_are_balanced_by_what_was_measured_on_the_given_batch() -> None:
    """The wide first stage makes a block of its own; by number it would share one."""
    torch.manual_seed(0)
    network = [nn.Sequential(nn.Flatten(), nn.Linear(16, 400), nn.ReLU()), nn.Linear(400, 4),
               nn.Linear(4, 4), nn.Linear(4, 4)]  # fmt: skip
    learner = Learner(
        network, CLASSES, (1, 4, 4), blocks=BlocksConfig(num_blocks=2, balance="activation_bytes")
    )
    learner.fit(*make_classes(40), epochs=1)
    assert [len(block.body) for block in learner.engine.chain] == [1, 3]


def test_an_accelerator_that_is_not_here_is_refused_by_the_argument_s_name() -> None:
    with pytest.raises(ValueError, match=r"^device: cuda:99 does not exist here"):
        Learner(make_network(), CLASSES, (1, 4, 4), device="cuda:99")


def test_the_library_needs_torch_alone() -> None:
    """Nothing else that a run needs is imported by it."""
    heavy = "{'numpy', 'monai', 'mlflow', 'pydantic', 'yaml', 'nibabel', 'sklearn', 'pandas'}"
    code = (
        "import sys\n"
        f"class Refuse:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {heavy} - {{'numpy'}}:\n"
        f"            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import brainage.core.learner\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
