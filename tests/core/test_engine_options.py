"""Options of the engine change time and memory, and results by rounding at most."""

import copy

import pytest
import torch

from brainage.core.engine import SingleDeviceEngine
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig
from brainage.core.types import Batch
from tests.core.convolutional import close, make_convolutional, train, volumes
from tests.core.helpers import same_weights, weights

CROSSING = ["bp", "bp_deep_supervision", "feedback_alignment"]


@pytest.mark.parametrize("parts", [2, 4, 6])
@pytest.mark.parametrize("rule", sorted(set(RULES) - {"predsim"}))
def test_micro_batches_add_up_to_the_whole_batch(rule: str, parts: int) -> None:
    """Uneven ones too: of seven samples 4 and 3. Predsim compares within a part.

    In double precision: rounding that turns one ReLU on would otherwise count as a difference.
    """
    inputs, targets = volumes(2, classes=RULES[rule].contrasts, size=7)
    batch = Batch(inputs.double(), targets)
    engines = [make_convolutional(rule, EngineConfig(micro_batches=n), axes=2) for n in (1, parts)]
    for engine in engines:
        engine.chain.double()
    before = weights(engines[0].chain)
    whole, pieces = (train(engine, batch) for engine in engines)
    assert close(whole, pieces)
    assert not close(before, whole, atol=1e-3)


def test_losses_of_micro_batches_are_reported_as_of_the_batch() -> None:
    engines = [make_convolutional("lfnn_l", EngineConfig(micro_batches=n)) for n in (1, 4)]
    whole, pieces = (engine.train_step(volumes(size=7), 0, 0.05) for engine in engines)
    for block, other in zip(whole, pieces, strict=True):
        assert block.keys() == other.keys()
        for name, value in block.items():
            assert float(other[name]) == pytest.approx(float(value), abs=1e-5)


@pytest.mark.parametrize(
    ("parts", "sizes"), [(1, [7]), (2, [4, 3]), (4, [2, 2, 2, 1]), (9, [1] * 7)]
)
def test_a_batch_is_run_in_as_many_parts_as_asked(parts: int, sizes: list[int]) -> None:
    engine = make_convolutional("bp", EngineConfig(micro_batches=parts), axes=2)
    seen: list[int] = []
    first = next(iter(engine.chain))
    first.body.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    engine.train_step(volumes(2, size=7), 0, 0.05)
    assert seen == sizes


def test_more_micro_batches_than_samples_are_one_each() -> None:
    engines = [make_convolutional("lfnn_l", EngineConfig(micro_batches=n)) for n in (6, 50)]
    assert same_weights(*(train(engine, volumes()) for engine in engines))


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("rule", CROSSING)
def test_recomputed_activations_give_the_same_weights_to_the_last_bit(rule: str, norm: str) -> None:
    """Dropout draws the same pattern again, and batch statistics count each batch once."""
    states = [
        train(
            make_convolutional(
                rule, EngineConfig(recompute_activations=on), norm=norm, dropout=0.3
            ),
            volumes(),
        )
        for on in (False, True)
    ]
    different = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
    assert different == []


def test_recomputing_runs_every_block_twice() -> None:
    calls = {}
    for on in (False, True):
        engine = make_convolutional("bp", EngineConfig(recompute_activations=on))
        ran = calls[on] = []
        for block in engine.chain:
            block.body.register_forward_pre_hook(lambda *_, ran=ran: ran.append(1))
        engine.train_step(volumes(), 0, 0.05)
    assert [len(calls[on]) for on in (False, True)] == [2, 4]


def test_averaged_weights_follow_the_formula_and_give_the_answer() -> None:
    decay = 0.7
    engine = make_convolutional("lfnn_l", EngineConfig(ema_decay=decay))
    expected: dict[str, torch.Tensor] = {}
    for step in range(4):
        engine.train_step(volumes(), step, 0.05)
        now = weights(engine.chain)
        if step == 0:
            expected = now
        else:
            expected = {n: decay * expected[n] + (1 - decay) * now[n] for n in now}
    answering = engine.answering_chain
    assert close(weights(answering), expected, atol=1e-6)
    assert not close(weights(answering), weights(engine.chain), atol=1e-5)
    inputs = volumes().inputs
    alone = answering.eval().all_outputs(inputs)[-1].prediction_BC
    assert torch.equal(engine.predict(inputs)[-1], alone)
    assert not torch.equal(engine.chain.eval()(inputs), alone)


def test_averaging_does_not_change_training() -> None:
    engines = [make_convolutional("lfnn_l", EngineConfig(ema_decay=decay)) for decay in (None, 0.9)]
    assert same_weights(*(train(engine, volumes()) for engine in engines))
    assert engines[0].answering_chain is engines[0].chain


@pytest.mark.parametrize(
    "rule", ["lfnn_l", "dgl", "predsim", "direct_feedback_alignment", "forward_forward"]
)
def test_clipping_bounds_each_block_of_every_isolated_rule(rule: str) -> None:
    moved = moves_of_blocks(rule)
    assert all(0.99e-3 < norm < 1.01e-3 for norm in moved), moved


@pytest.mark.parametrize("rule", ["bp", "bp_deep_supervision", "lfnn", "feedback_alignment"])
def test_clipping_bounds_the_network_of_other_rules(rule: str) -> None:
    moved = torch.tensor(moves_of_blocks(rule))
    assert float(moved.norm()) == pytest.approx(1e-3, rel=0.01)
    assert float(moved.max()) < 0.999e-3


def moves_of_blocks(rule: str) -> list[float]:
    """How far each block moves in one step of learning rate 1 with gradients clipped to 1e-3."""
    engine = make_convolutional(rule)
    engine.clip_norm = 1e-3
    before = copy.deepcopy(engine.chain)
    engine.train_step(volumes(classes=RULES[rule].contrasts), 0, 1.0)
    moved = []
    for old, new in zip(before, engine.chain, strict=True):
        pairs = zip(old.parameters(), new.parameters(), strict=True)
        moved.append(float(torch.stack([(a - b).detach().norm() for a, b in pairs]).norm()))
    return moved


def test_an_optimizer_for_each_block_is_required() -> None:
    engine = make_convolutional()
    with pytest.raises(ValueError, match="2 blocks need as many optimizers, got 1"):
        SingleDeviceEngine(
            engine.chain, engine.objective, engine.optimizers[:1],
            device=torch.device("cpu"), seed=0,
        )  # fmt: skip
