"""Blocks and chains: what they give, how far a network runs, and what a rule adds to it."""

import pytest
import torch
from torch import nn

from brainage.core.blocks import Block, BlockChain
from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.rules import RULES
from tests.core.helpers import INPUT_SHAPE, make_ages, make_engine, make_stages, make_task


def test_extra_parameters_of_the_method_are_counted() -> None:
    chain = make_engine(ObjectiveConfig(leader_fraction=0.5)).chain
    counts = chain.parameter_counts()
    assert sum(counts.values()) == sum(p.numel() for p in chain.parameters())
    assert counts["workers"] == 3 * 4 * (8 * 9 + 9)
    assert counts["hidden_outputs"] == 2 * counts["output"] == 2 * (8 * 9 + 9)
    plain = make_engine(ObjectiveConfig(name="bp")).chain.parameter_counts()
    assert plain["workers"] == plain["hidden_outputs"] == 0
    assert plain["body"] == counts["body"] == 5 * 8 + 8 + 2 * (8 * 8 + 8)


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_leaves_a_parameter_uncounted(rule: str) -> None:
    task = make_task("classification")
    heads = HeadConfig(num_lf_workers=4, auxiliary="mlp_sr", hidden_size=6)
    objective = ObjectiveConfig(name=rule, leader_fraction=0.5)
    chain = build_chain(make_stages(), (1, 1, 1), INPUT_SHAPE, task, objective, heads=heads)
    expected = sum(p.numel() for p in chain.parameters())
    assert sum(chain.parameter_counts().values()) == expected


def test_workers_that_are_units_add_no_parameter() -> None:
    task = make_task("classification")
    heads = HeadConfig(readout="units", num_lf_workers=2, probe_hidden_blocks=False)
    objective = ObjectiveConfig(leader_fraction=0.5)
    chain = build_chain(make_stages(), (1, 1, 1), INPUT_SHAPE, task, objective, heads=heads)
    counts = chain.parameter_counts()
    assert (counts["workers"], counts["hidden_outputs"], counts["auxiliary"]) == (0, 0, 0)
    assert chain.all_outputs(make_ages().inputs)[0].workers_BWC.shape == (12, 2, 4)


@pytest.mark.parametrize("stop", [1, 2, 3, None])
def test_a_network_can_stop_behind_any_block(stop: int | None) -> None:
    """What is not needed is not computed, and what is, is the same."""
    chain = make_engine(ObjectiveConfig(leader_fraction=0.5)).chain.eval()
    ran: list[int] = []
    for index, block in enumerate(chain):
        block.body.register_forward_hook(lambda *_, index=index: ran.append(index))
    whole = chain.all_outputs(make_ages().inputs)
    ran.clear()
    outputs = chain.all_outputs(make_ages().inputs, num_blocks=stop)
    assert ran == [0, 1, 2][:stop]
    for found, expected in zip(outputs, whole, strict=False):
        assert torch.equal(found.prediction_BC, expected.prediction_BC)
    assert len(outputs) == (stop or 3)


def test_a_chain_answers_with_its_output_block() -> None:
    chain = make_engine(ObjectiveConfig()).chain.eval()
    inputs = make_ages().inputs
    assert torch.equal(chain(inputs), chain.all_outputs(inputs)[-1].prediction_BC)


def test_a_chain_without_blocks_or_output_head_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        BlockChain([])
    headless = BlockChain([Block(nn.Sequential(nn.Linear(5, 2)))])
    with pytest.raises(ValueError, match="no output head"):
        headless(torch.zeros(1, 5))


@pytest.mark.parametrize("separate", [False, True])
def test_a_separate_output_head_teaches_its_block_nothing(separate: bool) -> None:
    """The output block then learns by its workers alone, as a hidden block does."""
    objective = ObjectiveConfig(leader_fraction=0.5)
    heads = HeadConfig(separate_output=separate)
    engine = make_engine(objective, stage_counts=(2, 1), heads=heads)
    batch = make_ages()
    last = list(engine.chain)[-1]
    outputs = engine.chain.all_outputs(batch.inputs)[-1]
    loss = engine.objective.task.prediction_loss(outputs.prediction_BC, batch.targets).mean()
    wanted = [*last.body.parameters(), *last.output.parameters()]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    num_body = len(list(last.body.parameters()))
    assert [gradient is None for gradient in found[:num_body]] == [separate] * num_body
    assert all(gradient is not None for gradient in found[num_body:])


@pytest.mark.parametrize("counts", [(1, 1), (1, 2, 1), (0, 3), (3, 0)])
def test_counts_that_do_not_cover_the_stages_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not cover 3 stages"):
        make_engine(ObjectiveConfig(), stage_counts=counts)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_heads_answer_in_float32_whatever_the_body_runs_in(dtype: torch.dtype) -> None:
    chain = make_engine(ObjectiveConfig(leader_fraction=0.5)).chain.to(dtype)
    for outputs in chain.all_outputs(make_ages().inputs.to(dtype)):
        assert outputs.features.dtype == dtype
        assert outputs.workers_BWC.dtype == outputs.prediction_BC.dtype == torch.float32


def test_cuts_do_not_change_the_network_but_for_its_heads() -> None:
    inputs = make_ages().inputs
    features = [
        make_engine(ObjectiveConfig(name="bp"), stage_counts=counts)
        .chain.all_outputs(inputs)[-1]
        .features
        for counts in ((3,), (1, 2), (1, 1, 1))
    ]
    assert torch.equal(features[0], features[1])
    assert torch.equal(features[0], features[2])
