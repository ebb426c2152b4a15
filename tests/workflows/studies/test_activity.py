import pytest
import torch

from brainage.config.studies import ActivityConfig
from brainage.workflows.studies.activity import (
    ActivityProbe,
    WatchedBatches,
    mean_cross_cosine,
    mean_pair_cosine,
    step_numbers,
)


def unit(*angles):
    turned = torch.tensor(angles, dtype=torch.float64)
    return torch.stack([turned.cos(), turned.sin()], 1)[None]


def test_pairs_that_move_alike_have_cosine_one_and_opposite_ones_minus_one():
    everyone = torch.ones(1, 2, dtype=torch.bool)
    assert float(mean_pair_cosine(unit(1.0, 1.0), everyone)) == pytest.approx(1.0)
    assert float(mean_pair_cosine(unit(0.0, torch.pi), everyone)) == pytest.approx(-1.0)


def test_mean_cosines_are_those_of_all_pairs():
    directions = unit(0.1, 0.7, 2.0, 4.0)
    cosines = directions[0] @ directions[0].T
    members = torch.tensor([[True, True, False, True]])
    expected = (cosines[0, 1] + cosines[0, 3] + cosines[1, 3]) / 3
    assert float(mean_pair_cosine(directions, members)) == pytest.approx(float(expected))
    cross = (cosines[2, 0] + cosines[2, 1] + cosines[2, 3]) / 3
    assert float(mean_cross_cosine(directions, members, ~members)) == pytest.approx(float(cross))


def test_independent_directions_have_none_on_average():
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(4000, 5, 3, generator=generator), dim=2)
    members = torch.ones(4000, 5, dtype=torch.bool)
    assert abs(float(mean_pair_cosine(directions, members))) < 0.02


def test_followers_that_walk_to_the_best_leader_are_seen_to():
    before = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [9.0, 9.0]]]).repeat(4, 1, 1)
    after = before.clone()
    after[:, 1:3] += 0.1 * (before[:, :1] - before[:, 1:3])
    leaders = torch.tensor([[True, False, False, False]]).repeat(4, 1)
    found = step_numbers(before, after, leaders, torch.zeros(4, dtype=torch.int64))
    assert found["towards_best"] == pytest.approx(1.0)
    assert found["followers"] == pytest.approx(0.0, abs=1e-9)
    assert found["resting"] == 0.5
    assert found["leader_length"] == 0.0
    assert found["follower_length"] == pytest.approx((2 * 0.16 / 3) ** 0.5)


def test_what_each_sample_does_for_itself_vanishes_between_samples():
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(400, 1, 3, generator=generator).expand(400, 6, 3)
    nobody = torch.zeros(400, 6, dtype=torch.bool)
    before = torch.zeros(400, 6, 3)
    found = step_numbers(before, before + own, nobody, torch.zeros(400, dtype=torch.int64))
    assert found["followers"] == pytest.approx(1.0)
    assert abs(found["followers_shuffled"]) < 0.1


def probe_of(engine, **changes):
    settings = ActivityConfig(leader_fraction=0.5, **changes)
    return ActivityProbe(engine, settings, "sample", num_steps=10, lines=True)


def test_windows_are_the_first_and_the_last_steps(engine):
    probe = probe_of(engine, first_steps=4, later_steps=3, record_every=2)
    windows = [probe.window(step) for step in range(10)]
    none = None
    assert windows == ["first", none, "first", none, none, none, none, "later", none, "later"]
    overlapping = probe_of(engine, first_steps=8, later_steps=5)
    assert [overlapping.window(step) for step in (7, 8)] == ["first", "later"]
    assert probe_of(engine, first_steps=4, later_steps=0).window(9) is None


def test_activity_is_the_outputs_change_by_the_update_alone(engine, images):
    probe = probe_of(engine, first_steps=2)
    source = WatchedBatches(images.batches("train", batch_size=8, seed=0, training=True), probe)
    for step, batch in enumerate(source.batches(0)):
        if step == 1:
            engine.chain.eval()
            with torch.no_grad():
                before = engine.chain.all_outputs(batch.inputs)
        engine.train_step(batch, step, 0.01)
        if step == 1:
            with torch.no_grad():
                after = engine.chain.eval().blocks[1](before[0].features).workers_BWC
            expected = (after - before[1].workers_BWC).mean((0, 2))
    found = probe.results()["first"]
    assert found["steps"] == [0, 1]
    assert found["block 2"]["activity"][1] == pytest.approx(expected.tolist(), rel=1e-3)
    assert float(expected.abs().max()) > 0
    assert [len(own) for own in found["block 2"]["leaders"]] == [2, 2]


def test_looking_changes_nothing(config, images):
    from brainage.workflows.images.fit import build_image_engine

    weights = []
    for watched in (False, True):
        engine = build_image_engine(config.recipe, images, 0, torch.device("cpu"))
        source = images.batches("train", batch_size=8, seed=0, training=True)
        if watched:
            source = WatchedBatches(source, probe_of(engine, first_steps=3))
        for step, batch in enumerate(source.batches(0)):
            engine.train_step(batch, step, 0.01)
        weights.append(torch.cat([p.detach().flatten() for p in engine.chain.parameters()]))
    assert torch.equal(*weights)
