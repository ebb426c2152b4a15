from dataclasses import replace

import pytest
import torch

from brainage.workflows.images.fit import build_image_engine
from brainage.workflows.studies.inference import inference_accuracies, masked_answer
from brainage.workflows.studies.roles import mean_leaders, network_scores


def some_inputs(source):
    return next(iter(source.batches(0))).inputs


@torch.no_grad()
def test_all_workers_answer_as_the_network_does(engine, test_images):
    inputs = some_inputs(test_images)
    everyone = {index: torch.ones(4, dtype=torch.bool) for index in (0, 1)}
    expected = engine.chain.eval()(inputs)
    for masks in ({}, everyone):
        for scaled in (False, True):
            assert torch.equal(masked_answer(engine.chain, inputs, masks, scaled=scaled), expected)


@torch.no_grad()
@pytest.mark.parametrize("scaled", [False, True])
def test_units_of_other_workers_count_nothing(engine, test_images, scaled):
    """The same as a network in which nothing reads the units of workers 1 and 3."""
    inputs = some_inputs(test_images)
    mask = torch.tensor([True, False, True, False])
    found = masked_answer(engine.chain.eval(), inputs, {0: mask, 1: mask}, scaled=scaled)
    first, second, last = engine.chain
    hidden = first.body(inputs)
    weight = second.body[0][0].weight.clone()
    weight[:, [2, 3, 6, 7]] = 0
    hidden = (2 if scaled else 1) * hidden @ weight.T + second.body[0][0].bias
    hidden = hidden.relu() * (2 if scaled else 1)
    head = last.output.layers[-1]
    weight = head.weight.clone()
    weight[:, [2, 3, 6, 7]] = 0
    assert torch.allclose(found, hidden @ weight.T + head.bias, atol=1e-6)


@torch.no_grad()
def test_each_image_can_have_leaders_of_its_own(engine, test_images):
    inputs = some_inputs(test_images)
    masks = torch.tensor([True, False, False, True]).roll(1).repeat(len(inputs), 1)
    masks[0] = ~masks[0]
    found = masked_answer(engine.chain.eval(), inputs, {0: masks}, scaled=False)
    for row in range(len(inputs)):
        alone = masked_answer(engine.chain, inputs[[row]], {0: masks[row]}, scaled=False)
        assert torch.allclose(found[row], alone[0], atol=1e-6)


def accuracies(engine, source):
    leaders = mean_leaders(network_scores(engine, source), 0.5)
    return inference_accuracies(engine, source, leaders, leader_fraction=0.5, draws=3, seed=0)


def test_every_way_is_measured_and_all_is_the_networks_own_accuracy(engine, test_images):
    found = accuracies(engine, test_images)
    own = 100 * network_scores(engine, test_images).accuracy
    assert found["zeroed"]["all"] == found["scaled"]["all"] == pytest.approx(own)
    assert set(found["zeroed"]) == {
        "all",
        "leaders",
        "followers",
        "oracle leaders",
        "oracle followers",
        "random, as many as lead",
        "random, as many as follow",
    }
    assert found["together"].keys() == {"block 1", "block 2"}
    assert found == accuracies(engine, test_images)


def test_heads_on_a_whole_block_own_no_units(config, images, test_images):
    heads = replace(config.recipe.heads, readout="block")
    recipe = replace(config.recipe, heads=heads)
    engine = build_image_engine(recipe, images, 0, torch.device("cpu"))
    found = accuracies(engine, test_images)
    assert found["zeroed"] == found["scaled"] == {}
    assert set(found["together"]["block 1"]) == {"all", "leaders", "followers"}
