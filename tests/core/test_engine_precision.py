"""Half precision, channels innermost and compiled blocks change results by rounding alone."""

import shutil

import pytest
import torch
from torch import nn

from brainage.core.config import ObjectiveConfig
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig
from tests.core.convolutional import close, make_convolutional, train, volumes
from tests.core.helpers import make_ages, make_engine, weights


@pytest.mark.parametrize("rule", RULES)
def test_bfloat16_computes_in_half_precision_and_keeps_weights_and_losses_full(rule: str) -> None:
    batch = volumes(classes=RULES[rule].contrasts)
    full, half = (
        make_convolutional(rule, EngineConfig(precision=precision))
        for precision in ("float32", "bfloat16")
    )
    dtypes: set[torch.dtype] = set()
    for block in half.chain:
        block.body.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
    expected = full.train_step(batch, 0, 0.05)
    reports = half.train_step(batch, 0, 0.05)
    # Group normalisation answers in float32 under autocast; convolutions do not.
    assert {value.dtype for value in weights(half.chain).values()} == {torch.float32}
    for found, exact in zip(reports, expected, strict=True):
        for name, value in found.items():
            assert value.dtype == torch.float32
            assert float(value) == pytest.approx(float(exact[name]), rel=0.05, abs=0.02)
    answers = [each for each in half.predict(batch.inputs) if each is not None]
    assert {answer.dtype for answer in answers} == {torch.float32}


def test_bfloat16_reaches_the_convolutions() -> None:
    seen: set[torch.dtype] = set()
    engine = make_convolutional("lfnn_l", EngineConfig(precision="bfloat16"))
    for module in engine.chain.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(lambda _, __, output: seen.add(output.dtype))
    engine.train_step(volumes(), 0, 0.05)
    engine.predict(volumes().inputs)
    assert seen == {torch.bfloat16}


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_channels_innermost_changes_rounding_alone(rule: str, axes: int) -> None:
    plain, innermost = (
        make_convolutional(rule, EngineConfig(channels_last=on), axes=axes) for on in (False, True)
    )
    batch = volumes(axes, classes=RULES[rule].contrasts)
    assert close(train(plain, batch), train(innermost, batch))
    for a, b in zip(plain.predict(batch.inputs), innermost.predict(batch.inputs), strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("rule", ["bp", "lfnn", "lfnn_l"])
def test_a_gradient_in_another_layout_than_its_weight_reaches_that_weight(rule: str) -> None:
    plain, innermost = (
        make_convolutional(rule, EngineConfig(channels_last=on)) for on in (False, True)
    )
    # As a kernel for a smaller convolution gives it.
    for parameter in innermost.chain.parameters():
        parameter.register_hook(lambda gradient: gradient.contiguous())
    assert close(train(plain, volumes()), train(innermost, volumes()))


@pytest.mark.parametrize("axes", [2, 3])
def test_one_channel_gives_activations_with_channels_innermost(axes: int) -> None:
    """A volume of one channel is in both layouts at once; what follows it must not be."""
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[axes]
    found = {}
    for on in (False, True):
        engine = make_convolutional("lfnn_l", EngineConfig(channels_last=on), axes=axes)
        kept = found[on] = []
        for module in engine.chain.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                module.register_forward_hook(
                    lambda _, __, output, kept=kept: kept.append(
                        output.is_contiguous(memory_format=layout)
                    )
                )
        engine.train_step(volumes(axes), 0, 0.05)
        engine.predict(volumes(axes).inputs)
    assert found == {False: [False] * 4, True: [True] * 4}


def test_channels_innermost_survive_resuming() -> None:
    engine = make_convolutional("lfnn_l", EngineConfig(channels_last=True))
    engine.chain.load_state_dict(weights(make_convolutional("lfnn_l").chain))
    outputs = engine.chain.blocks[0].body[0][0](volumes().inputs)
    assert outputs.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="compiling needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*")
def test_compiled_blocks_train_and_answer_like_plain_ones() -> None:
    plain, compiled = (
        make_engine(ObjectiveConfig(leader_fraction=0.5), config=EngineConfig(compile_blocks=on))
        for on in (False, True)
    )
    for step in range(2):
        for engine in (plain, compiled):
            engine.train_step(make_ages(seed=step), step, 0.05)
    assert close(weights(plain.chain), weights(compiled.chain))
    inputs = make_ages().inputs
    for a, b in zip(plain.predict(inputs), compiled.predict(inputs), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
