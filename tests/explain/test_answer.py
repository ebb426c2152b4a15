import numpy as np
import pytest
import torch

from brainage.explain.answer import AnswerNetwork
from tests.bundle.conftest import make_member
from tests.explain.conftest import in_memory, small_config


def answering(model, answer, baseline_XYZ):
    return AnswerNetwork(model.members, answer, baseline_XYZ)


@pytest.mark.parametrize("answer", ["last", "block1", "ensemble"])
def test_the_age_is_that_of_the_model(model, scan, answer):
    network = answering(model, answer, np.zeros_like(scan.volume_XYZ))
    expected = model.predict(scan.volume_XYZ, answer).age_years
    assert network.age_years(scan.volume_XYZ) == pytest.approx(expected, abs=1e-4)


def test_the_baseline_changes_no_age(model, scan):
    noise = np.random.default_rng(5).normal(size=scan.volume_XYZ.shape).astype(np.float32)
    from_zero = answering(model, "last", np.zeros_like(noise)).age_years(scan.volume_XYZ)
    assert answering(model, "last", noise).age_years(scan.volume_XYZ) == pytest.approx(
        from_zero, abs=1e-4
    )


def test_several_networks_answer_with_their_mean(scan):
    config = small_config()
    model = in_memory(config, *(make_member(config, f"fold{seed}", seed) for seed in (1, 2)))
    network = answering(model, "last", np.zeros_like(scan.volume_XYZ))
    expected = model.predict(scan.volume_XYZ).age_years
    assert network.age_years(scan.volume_XYZ) == pytest.approx(expected, abs=1e-4)


def slope_and_gradient(network, difference):
    """Change of the age along a direction: by two ages, and by the gradient."""
    direction = torch.randn(difference.shape, generator=torch.Generator().manual_seed(6))
    network, difference = network.double(), difference.double()
    direction = direction.double()
    leaf = difference.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf).sum(), leaf)
    step = 1e-5
    with torch.no_grad():
        ahead, behind = (network(difference + s * direction) for s in (step, -step))
    return float((ahead - behind)[0]) / (2 * step), float((gradient * direction).sum())


@pytest.mark.parametrize(
    ("answer", "sections"),
    [
        ("last", {}),
        # The heads of hidden blocks are probes: in training no gradient passes them.
        ("block1", {"heads": {"probe_hidden_blocks": True}}),
        ("ensemble", {"heads": {"probe_hidden_blocks": True}}),
        # In training the gradient goes back through other weights.
        ("last", {"objective": {"name": "feedback_alignment"}, "blocks": {"num_blocks": 1}}),
    ],
)
def test_the_gradient_is_that_of_the_age(scan, answer, sections):
    model = in_memory(small_config(**sections))
    network = answering(model, answer, np.zeros_like(scan.volume_XYZ))
    slope, along = slope_and_gradient(network, network.difference(scan.volume_XYZ))
    assert abs(slope) > 1e-4
    assert along == pytest.approx(slope, rel=1e-4)


def test_the_model_itself_stays_as_it_is():
    model = in_memory(small_config(heads={"probe_hidden_blocks": True}))
    AnswerNetwork(model.members, "last", np.zeros(model.input_shape[1:], dtype=np.float32))
    (member,) = model.members
    first = next(iter(member.chain))
    assert first.output.probe
    assert all(parameter.requires_grad for parameter in member.chain.parameters())
