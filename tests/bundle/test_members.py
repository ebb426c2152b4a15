"""A model of several networks: it answers with their mean, and says how far they are apart."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from brainage.bundle.files import file_sha256
from brainage.bundle.load import load_bundle
from brainage.config.candidates import with_overrides
from brainage.config.yaml_text import read_yaml, to_yaml
from brainage.errors import BundleError
from tests.bundle.conftest import make_bundle, make_member
from tests.workflows.tiny import tiny_config

NAMES = ("fold1", "fold2", "fold3")


SMALL = ("blocks.num_blocks=2", "backbone.channels=[3, 3, 3]")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Three networks with weights and age bins of their own; the last one has fewer blocks."""
    config = tiny_config()
    small = with_overrides(config, SMALL)
    members = [make_member(config, name, seed) for seed, name in enumerate(NAMES[:2])]
    members.append(replace(make_member(small, NAMES[2], seed=2), overrides=SMALL))
    return make_bundle(tmp_path_factory.mktemp("ensemble") / "model", config, members=members)


@pytest.fixture
def copied(ensemble, tmp_path):
    return shutil.copytree(ensemble.folder, tmp_path / "model")


@pytest.mark.parametrize("answer", ["last", "ensemble", "block2"])
def test_it_answers_with_the_mean_of_its_networks(answer, ensemble, volume):
    said = [replace(ensemble, members=(m,)).predict(volume, answer) for m in ensemble.members]
    together = load_bundle(ensemble.folder).predict(volume, answer)
    ages = [each.age_years for each in said]
    assert together.age_years == pytest.approx(np.mean(ages))
    assert together.spread_years == pytest.approx(np.std(ages))
    assert together.spread_years > 0
    assert set(together.by_block) == {1, 2}, "the blocks that all have"
    for block, age in together.by_block.items():
        assert age == pytest.approx(np.mean([each.by_block[block] for each in said]))


def test_one_network_has_no_spread(ensemble, volume):
    assert replace(ensemble, members=ensemble.members[:1]).predict(volume).spread_years is None


def test_networks_come_back_with_what_they_change(ensemble):
    loaded = load_bundle(ensemble.folder)
    assert [member.name for member in loaded.members] == list(NAMES)
    assert [member.overrides for member in loaded.members] == [(), (), SMALL]
    assert [len(member.chain) for member in loaded.members] == [3, 3, 2]
    assert loaded.predicting_blocks == [1, 2]


def test_overrides_that_do_not_fit_are_named(copied):
    path = copied / "model.yaml"
    model = read_yaml(path)
    model["members"][1]["overrides"] = ["blocks.num_blocks=9"]
    path.write_text(to_yaml(model))
    with pytest.raises(BundleError, match=r"model\.yaml: members\.fold2: blocks\.num_blocks: exp"):
        load_bundle(copied)


def test_a_network_without_weights_is_named(copied):
    path = copied / "weights.safetensors"
    weights = {k: v for k, v in load_file(path).items() if not k.startswith("fold2/")}
    save_file(weights, path)
    model = read_yaml(copied / "model.yaml")
    model["weights_sha256"] = file_sha256(path)
    (copied / "model.yaml").write_text(to_yaml(model))
    with pytest.raises(BundleError, match=r"does not fit the networks of model\.yaml: fold2/"):
        load_bundle(copied)
