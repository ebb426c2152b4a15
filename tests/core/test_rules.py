"""What each rule asks of a network: which heads it has, and how far its gradients reach."""

import pytest
import torch
from torch import nn

from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.rules import RULES
from brainage.core.training_config import OptimizerConfig
from tests.core.helpers import make_ages, make_engine, make_task, weights

ISOLATED = sorted(name for name, rule in RULES.items() if rule.scope == "block")
CROSSING = sorted(name for name, rule in RULES.items() if rule.scope == "network")
HIDDEN_OUTPUTS = {
    "bp": None,
    "feedback_alignment": None,
    "forward_forward": None,
    "bp_deep_supervision": "taught",
    "greedy": "taught",
    "dgl": "taught",
    "predsim": "taught",
    "lfnn": "probe",
    "lfnn_l": "probe",
    "direct_feedback_alignment": "probe",
}


def engine_of(rule: str, heads: HeadConfig | None = None) -> SingleDeviceEngine:
    task = make_task("classification" if rule == "forward_forward" else "soft_bins")
    return make_engine(ObjectiveConfig(name=rule, leader_fraction=0.5), task=task, heads=heads)


def batch_of(rule: str) -> tuple[torch.Tensor, torch.Tensor]:
    batch = make_ages()
    return batch._replace(targets=torch.arange(12) % 4) if rule == "forward_forward" else batch


def test_isolation_is_the_scope() -> None:
    assert ISOLATED == ["dgl", "forward_forward", "greedy", "lfnn_l", "predsim"]
    assert CROSSING == ["bp", "bp_deep_supervision", "feedback_alignment", "lfnn"]
    assert [n for n, rule in RULES.items() if not rule.isolated] == [
        name for name in RULES if name in CROSSING
    ]


@pytest.mark.parametrize("rule", RULES)
def test_heads_are_those_of_the_rule(rule: str) -> None:
    chain = engine_of(rule).chain
    hidden = [block.output for block in list(chain)[:-1]]
    kinds = {None if head is None else "probe" if head.probe else "taught" for head in hidden}
    assert kinds == {HIDDEN_OUTPUTS[rule]}
    workers = rule in {"lfnn", "lfnn_l"}
    assert [block.workers is not None for block in chain] == [workers] * 3
    last = list(chain)[-1].output
    assert (last is None) == (rule == "forward_forward")


def body_of_block_0(rule: str, seed: int) -> list[torch.Tensor]:
    """After three steps in front of later blocks that were disturbed by ``seed``."""
    engine = engine_of(rule)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for block in list(engine.chain)[1:]:
            for parameter in block.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    for step in range(3):
        engine.train_step(batch_of(rule), step, 0.05)
    return [p.detach().clone() for p in next(iter(engine.chain)).body.parameters()]


@pytest.mark.parametrize("rule", RULES)
def test_later_blocks_teach_earlier_ones_under_no_isolated_rule(rule: str) -> None:
    """Under direct feedback alignment only the output's error does, which later blocks shape."""
    pairs = zip(body_of_block_0(rule, 1), body_of_block_0(rule, 2), strict=True)
    influenced = any(not torch.equal(a, b) for a, b in pairs)
    assert influenced == (rule not in ISOLATED)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_moves_every_parameter(rule: str) -> None:
    engine = make_engine(
        ObjectiveConfig(name=rule, leader_fraction=0.5),
        task=make_task("classification" if rule == "forward_forward" else "soft_bins"),
        optimizer=OptimizerConfig(),
    )
    before = {name: p.clone() for name, p in engine.chain.named_parameters()}
    for step in range(3):
        engine.train_step(batch_of(rule), step, 0.01, progress=step / 3)
    still = [n for n, p in engine.chain.named_parameters() if torch.equal(p, before[n])]
    assert still == []


@pytest.mark.parametrize("rule", ["dgl", "greedy", "predsim", "bp_deep_supervision"])
def test_taught_heads_stay_whatever_is_said_of_probes(rule: str) -> None:
    chain = engine_of(rule, HeadConfig(probe_hidden_blocks=False)).chain
    assert all(block.output is not None for block in chain)
    probes = engine_of("lfnn_l", HeadConfig(probe_hidden_blocks=False)).chain
    assert [block.output is None for block in probes] == [True, True, False]


def own_gradients(followers_share: bool) -> tuple[SingleDeviceEngine, dict[str, torch.Tensor]]:
    """What one LFNN step with group workers changed, per parameter and unit of learning rate."""
    engine = make_engine(
        ObjectiveConfig(
            name="lfnn",
            leader_fraction=0.25,
            selection="batch",
            leader_weight=0.0,
            follower_weight=0.0,
            followers_share_global=followers_share,
        ),
        heads=HeadConfig(readout="group", num_lf_workers=4),
        optimizer=OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0),
    )
    before = weights(engine.chain)
    engine.train_step(make_ages(), 0, 1.0)
    after = weights(engine.chain)
    return engine, {name: before[name] - after[name] for name in before}


def test_followers_can_be_kept_from_the_global_loss() -> None:
    """With local losses off, what is left is the global one: through leaders' channels alone."""
    engine, moved = own_gradients(followers_share=False)
    _, everywhere = own_gradients(followers_share=True)
    for index, block in enumerate(engine.chain):
        assert isinstance(block.body[0], nn.Sequential)
        name = f"blocks.{index}.body.0.0.weight"
        rows = moved[name].abs().sum(1) > 0
        # Eight channels, two to each of four workers, of which one leads for the whole batch.
        assert int(rows.sum()) == 2
        first = int(rows.int().argmax())
        assert first % 2 == 0
        assert bool(rows[first + 1])
        assert bool((everywhere[name].abs().sum(1) > 0).all())
    last = "blocks.2.body.0.0.weight"
    leading = moved[last].abs().sum(1) > 0
    assert torch.allclose(moved[last][leading], everywhere[last][leading])
