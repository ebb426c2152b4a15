import numpy as np
import pytest
import torch

from brainage.explain.config import ExplainConfig
from brainage.explain.maps import MapMaker
from brainage.explain.randomised import randomised_members
from brainage.explain.sanity import SanityCheck, compare

QUICK = ExplainConfig(cube_mm=32, stride_mm=32, num_steps=8)


def weights_of(members, block):
    (member,) = members
    return torch.nn.utils.parameters_to_vector(list(member.chain)[block - 1].parameters())


def test_randomising_changes_the_blocks_from_the_first_on_and_no_other(model):
    fresh = randomised_members(model, 2, seed=0)
    same = [torch.equal(weights_of(fresh, k), weights_of(model.members, k)) for k in (1, 2, 3)]
    assert same == [True, False, False]


def test_the_random_weights_depend_on_the_seed_alone(model):
    first, again, other = (weights_of(randomised_members(model, 1, s), 1) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_weights_change_both_maps(model, scan):
    maker = MapMaker(model, scan, "last", QUICK)
    for method in ("occlusion", "integrated_gradients"):
        found = maker.make(method)
        assert found.sanity.comparisons[-1].randomised_blocks == (1, 2, 3)
        assert found.sanity.comparisons[-1].spearman_absolute < 0.7
        assert found.sanity.passed
        assert found.sanity.warning() not in found.warnings


def test_gradients_are_compared_block_by_block_from_the_answering_one_down(model, scan):
    check = MapMaker(model, scan, "block2", QUICK).make("integrated_gradients").sanity
    assert [each.randomised_blocks for each in check.comparisons] == [(2,), (1, 2)]


def test_a_map_that_ignores_the_weights_is_warned_of(model, scan, monkeypatch):
    monkeypatch.setattr("brainage.explain.maps.randomised_members", lambda model, *_: model.members)
    found = MapMaker(model, scan, "last", QUICK).make("occlusion")
    assert not found.sanity.passed
    (warning,) = found.warnings
    assert "does not depend on what was learned" in warning


def test_a_map_without_contrast_passes_nothing():
    flat, mask = np.zeros((3, 3, 3), np.float32), np.ones((3, 3, 3), bool)
    found = compare(flat, np.random.default_rng(0).normal(size=flat.shape), mask, (1,))
    check = SanityCheck(
        method="occlusion",
        comparisons=(found,),
        spearman_with_difference=None,
        highest_correlation=0.7,
    )
    assert not check.passed
    assert "same everywhere" in check.warning()


def test_the_sizes_are_compared_without_their_signs():
    values = np.random.default_rng(1).normal(size=(4, 4, 4)).astype(np.float32)
    found = compare(values, -values, np.ones(values.shape, bool), (1,))
    assert (found.spearman, found.spearman_absolute) == pytest.approx((-1.0, 1.0))
