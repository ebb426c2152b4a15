"""How far a scan lies from the training's, and the file that knows it."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from brainage.bundle.files import TRAINING_SPACE, model_hash
from brainage.bundle.fit_space import distance_limit, embed, fit_member_space
from brainage.bundle.load import load_bundle
from brainage.bundle.training_space import TrainingSpace, pooled_features
from brainage.core.blocks import BlockOutputs
from brainage.errors import BundleError, CohortError
from tests.bundle.conftest import CALIBRATION, edit_json, make_bundle, make_member
from tests.workflows.tiny import tiny_config


def volumes(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(40, 48, 40, generator=generator).numpy() for _ in range(n)]


@pytest.fixture(scope="module")
def spaced(tmp_path_factory):
    """A bundle that knows where its training scans lie."""
    config = tiny_config()
    member = make_member(config)
    space = fit_member_space(embed(member.chain, volumes(60, seed=1)))
    held_out = [space.distance(row) for row in embed(member.chain, volumes(60, seed=2))]
    limit, beyond = distance_limit(np.array(held_out))
    facts = {"most": limit, "expected_beyond": beyond}
    return make_bundle(
        tmp_path_factory.mktemp("spaced") / "model", config, members=[member],
        calibration={**CALIBRATION, "training_space": facts},
        training_space=TrainingSpace((space,), limit),
    )  # fmt: skip


@pytest.fixture
def copied(spaced, tmp_path):
    return shutil.copytree(spaced.folder, tmp_path / "model")


def test_features_are_mean_and_deviation_of_every_channel():
    features = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])[..., None, None]
    pooled = pooled_features(BlockOutputs(features, None, None))
    assert pooled.tolist() == [[2.0, 5.0, 1.0, 0.0]]
    one = pooled_features(BlockOutputs(torch.ones(2, 3, 1, 1, 1), None, None))
    assert one.tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]] * 2


def test_strange_scans_lie_beyond_the_limit_and_usual_ones_within(spaced):
    usual = [spaced.predict(volume).training_distance for volume in volumes(40, seed=3)]
    halves = [volume * (np.arange(40) < 20)[:, None, None] for volume in volumes(3, seed=4)]
    strange = [spaced.predict(half.astype(np.float32)).training_distance for half in halves]
    space = spaced.training_space
    assert sum(space.is_outside(each) for each in usual) <= 4
    assert all(space.is_outside(each) for each in strange)
    assert 0.3 < np.median(usual) < 3, "near 1 whatever the network"


def test_distances_do_not_grow_with_the_number_of_features():
    rng = np.random.default_rng(0)
    for size in (5, 200):
        space = fit_member_space(rng.normal(0, 3, (300, size)))
        assert space.distance(rng.normal(0, 3, size)) == pytest.approx(1, abs=0.6)


@pytest.mark.parametrize(
    ("n", "limit", "beyond"), [(199, 195.0, 0.025), (39, 39.0, 0.025), (9, 9.0, 0.1)]
)
def test_the_limit_is_an_order_statistic_of_held_out_distances(n, limit, beyond):
    found = distance_limit(np.random.default_rng(0).permutation(np.arange(1.0, n + 1)))
    assert found == (limit, pytest.approx(beyond))


def test_few_held_out_scans_set_no_limit():
    with pytest.raises(CohortError, match="needs 9 people who were not trained on, got 8"):
        distance_limit(np.ones(8))


def test_the_space_comes_back_from_its_file(spaced):
    loaded = load_bundle(spaced.folder)
    assert loaded.training_space.most == spaced.training_space.most
    (member,), (kept,) = loaded.training_space.members, spaced.training_space.members
    np.testing.assert_array_equal(member.precision_FF, kept.precision_FF)
    volume = volumes(1, seed=5)[0]
    assert loaded.predict(volume) == spaced.predict(volume)


def test_the_model_s_hash_covers_it(spaced, copied):
    assert model_hash(copied) == spaced.model_hash
    tensors = load_file(copied / TRAINING_SPACE)
    tensors["holdout/mean"] += 1
    save_file(tensors, copied / TRAINING_SPACE)
    with pytest.raises(BundleError, match="altered since it was saved"):
        load_bundle(copied)


def test_a_space_that_is_gone_is_missed(copied):
    (copied / TRAINING_SPACE).unlink()
    with pytest.raises(BundleError, match=r"training_space\.safetensors: is missing, but calibra"):
        load_bundle(copied)


def test_a_space_that_nothing_speaks_of_is_refused(copied):
    edit_json(copied / "calibration.json", training_space=None)
    with pytest.raises(BundleError, match=r"training_space\.safetensors: is there, but calibra"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("holdout/mean"), "not of this model's networks: holdout/mean"),
        (lambda t: t.update({"fold9/mean": np.ones(3)}), "not of this model's networks: fold9"),
        (lambda t: t.update({"holdout/mean": np.ones(3, np.float32)}), r"damaged: .* \(3,\) and"),
        (lambda t: t.update({"holdout/mean": np.ones((2, 2))}), r"damaged: .* \(2, 2\) and"),
        (lambda t: t["holdout/mean"].fill(np.nan), "damaged: .* not finite"),
    ],
)
def test_a_damaged_space_is_refused(change, message, copied):
    tensors = load_file(copied / TRAINING_SPACE)
    change(tensors)
    save_file(tensors, copied / TRAINING_SPACE)
    with pytest.raises(BundleError, match=rf"training_space\.safetensors: {message}"):
        load_bundle(copied)


def test_a_file_that_holds_no_space_is_refused(copied):
    (copied / TRAINING_SPACE).write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(BundleError, match=r"training_space\.safetensors: damaged: "):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_space": {"least": 2}}, "damaged: training_space: 'most'"),
        ({"training_space": [2.0]}, "damaged: training_space: "),
        ({"age_line": {"slope": 0.8}}, "damaged: age_line: 'intercept_years'"),
        ({"intervals": {"coverage": 0.9, "bins": []}}, "damaged: intervals: bins: expected at le"),
        ({"intervals": {"coverage": "much", "bins": [{}]}}, "damaged: intervals: "),
    ],
)
def test_damaged_numbers_are_named(changes, message, copied):
    edit_json(copied / "calibration.json", **changes)
    with pytest.raises(BundleError, match=rf"calibration\.json: {message}"):
        load_bundle(copied)


def test_a_model_without_honest_numbers_can_be_loaded(saved):
    loaded = load_bundle(saved.folder)
    assert (loaded.age_line, loaded.intervals, loaded.training_space) == (None, None, None)


def test_line_and_intervals_come_back_as_they_were_saved(tmp_path):
    line = {"slope": 0.8, "intercept_years": 9.0, "n": 40}
    bins = [{"from_years": None, "low_years": -4.0, "high_years": 5.0, "n": 40}]
    numbers = {"age_line": line, "intervals": {"coverage": 0.9, "bins": bins}}
    bundle = make_bundle(tmp_path / "model", tiny_config(), calibration={**CALIBRATION, **numbers})
    assert bundle.age_line.corrected(41.0) == pytest.approx(40.0)
    assert bundle.intervals.of(41.0) == (37.0, 46.0, 0.9)
    kept = json.loads((bundle.folder / "calibration.json").read_text())
    assert kept["age_line"] == line
