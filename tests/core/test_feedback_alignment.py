"""Feedback alignment: the layer's own value, another weight on the way back."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import ObjectiveConfig
from brainage.core.feedback_alignment import use_fixed_feedback
from tests.core.helpers import (
    INPUT_SHAPE,
    make_ages,
    make_engine,
    make_stages,
    make_task,
    same_weights,
    weights,
)

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "linear over tokens": (lambda: nn.Linear(6, 4, bias=False), (5, 6)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3, padding=1), (3, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 7, 8)),
    "conv3d": (lambda: nn.Conv3d(3, 2, 2, dilation=2, bias=False), (3, 5, 6, 5)),
    "reflecting": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 6, 6)),
}
each_layer = pytest.mark.parametrize(("build", "shape"), LAYERS.values(), ids=LAYERS)


def with_feedback(layer: nn.Module) -> nn.Module:
    changed = copy.deepcopy(layer)
    use_fixed_feedback(changed, 0)
    return changed


@each_layer
def test_the_value_is_that_of_the_plain_layer_to_the_last_bit(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    plain = build()
    inputs = torch.randn(3, *shape)
    for needs_gradient in (False, True):
        given = inputs.clone().requires_grad_(needs_gradient)
        assert torch.equal(with_feedback(plain)(given), plain(inputs))


@each_layer
def test_parameters_get_the_plain_gradient_and_inputs_that_of_the_feedback_weight(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    plain = build()
    changed = with_feedback(plain)
    backward = copy.deepcopy(plain)
    with torch.no_grad():
        backward.weight.copy_(changed.feedback_weight)
    error = torch.randn_like(plain(torch.randn(3, *shape)))
    inputs = torch.randn(3, *shape)
    given = inputs.clone().requires_grad_()
    changed(given).backward(error)
    plain(inputs).backward(error)
    for found, expected in zip(changed.parameters(), plain.parameters(), strict=True):
        assert torch.equal(found.grad, expected.grad)
    reference = inputs.clone().requires_grad_()
    backward(reference).backward(error)
    assert torch.allclose(given.grad, reference.grad, atol=1e-6)


def test_the_input_gradient_of_a_linear_layer_is_error_times_feedback() -> None:
    layer = with_feedback(nn.Linear(6, 4))
    inputs, error = torch.randn(3, 6, requires_grad=True), torch.randn(3, 4)
    layer(inputs).backward(error)
    assert torch.allclose(inputs.grad, error @ layer.feedback_weight, atol=1e-6)
    assert not torch.allclose(inputs.grad, error @ layer.weight, atol=1e-2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_input_gradient_of_a_convolution_is_the_transposed_one_of_the_feedback(
    axes: int,
) -> None:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    transposed = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[axes]
    layer = with_feedback(kind(2, 3, 3, padding=1))
    inputs = torch.randn(2, 2, *[5] * axes, requires_grad=True)
    error = torch.randn(2, 3, *[5] * axes)
    layer(inputs).backward(error)
    expected = transposed(error, layer.feedback_weight, padding=1)
    assert torch.allclose(inputs.grad, expected, atol=1e-5)


def test_feedback_equal_to_the_weights_is_backpropagation() -> None:
    results = []
    for name in ("bp", "feedback_alignment"):
        engine = make_engine(ObjectiveConfig(name=name))
        # The weights move, so feedback has to be brought after them before every step.
        for step in range(3):
            with torch.no_grad():
                for module in engine.chain.modules():
                    if hasattr(module, "feedback_weight"):
                        module.feedback_weight.copy_(module.weight)
            engine.train_step(make_ages(seed=step), step, 0.05)
        results.append([p.detach().clone() for p in engine.chain.parameters()])
    for plain, aligned in zip(*results, strict=True):
        assert torch.allclose(plain, aligned, atol=1e-6)


def test_feedback_is_fixed_saved_and_no_parameter() -> None:
    engine = make_engine(ObjectiveConfig(name="feedback_alignment"))
    plain = make_engine(ObjectiveConfig(name="bp"))
    names = {name for name in weights(engine.chain) if "feedback" in name}
    assert len(names) == 4, "three stages and the output head"
    assert set(weights(engine.chain)) - names == set(weights(plain.chain))
    assert engine.chain.parameter_counts() == plain.chain.parameter_counts()
    before = weights(engine.chain)
    for step in range(2):
        engine.train_step(make_ages(), step, 0.05)
    after = weights(engine.chain)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(before) - names


def test_feedback_depends_on_the_seed_and_differs_between_layers() -> None:
    def chain_of(seed: int) -> dict[str, torch.Tensor]:
        torch.rand(seed)
        objective = ObjectiveConfig(name="feedback_alignment")
        task = make_task()
        chain = build_chain(make_stages(), (1, 1, 1), INPUT_SHAPE, task, objective, seed=seed)
        return {n: v for n, v in weights(chain).items() if "feedback" in n}

    assert same_weights(chain_of(3), chain_of(3))
    assert not same_weights(chain_of(3), chain_of(4))
    second, third = list(chain_of(3).values())[1:3]
    assert second.shape == third.shape
    assert not torch.equal(second, third)


def test_a_first_layer_of_a_network_computes_nothing_twice() -> None:
    """Its input needs no gradient, and predicting needs none at all."""
    calls = []
    layer = with_feedback(nn.Linear(6, 4))
    original = layer._linear_map
    layer._linear_map = lambda inputs: calls.append(1) or original(inputs)
    layer(torch.randn(2, 6))
    with torch.no_grad():
        layer(torch.randn(2, 6, requires_grad=True))
    assert calls == []
    layer(torch.randn(2, 6, requires_grad=True))
    assert calls == [1]
