"""A model's whole answer as one module."""

import pytest
import torch

from brainage.errors import ConfigError
from brainage.export.graph import AgeGraph


@pytest.mark.parametrize("answer", ["last", "ensemble", "block2"])
def test_it_answers_for_a_batch_as_the_model_does_one_by_one(model, volumes, answer):
    ages, by_block = AgeGraph(model, answer)(volumes)
    for row, volume in enumerate(volumes):
        said = model.predict(volume[0].numpy(), answer)
        assert float(ages[row]) == pytest.approx(said.age_years, abs=2e-5)
        assert by_block[row].tolist() == pytest.approx(list(said.by_block.values()), abs=2e-5)


def test_blocks_behind_the_answer_and_workers_are_left_out_of_it_alone(model):
    whole, first = AgeGraph(model), AgeGraph(model, "block1")
    assert (whole.blocks, first.blocks) == ([1, 2, 3], [1])
    assert [len(network) for network in first.networks] == [1, 1]
    assert not any("workers" in name for name in whole.state_dict())
    assert all(block.workers is not None for block in model.members[0].chain)


def test_an_answer_that_the_model_cannot_give_is_refused(model):
    with pytest.raises(ConfigError, match=r"^answer: expected one of last, .*got 'block9'$"):
        AgeGraph(model, "block9")


def test_exporting_leaves_the_model_as_it_was(model, volumes):
    before = model.predict(volumes[0, 0].numpy())
    with torch.no_grad():
        for parameter in AgeGraph(model).parameters():
            parameter.zero_()
    assert model.predict(volumes[0, 0].numpy()) == before
