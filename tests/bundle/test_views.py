"""Test-time augmentation: what the views are, and that a model answers with their mean."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchio

from brainage.bundle.views import (
    MOST_DEGREES,
    MOST_VOXELS,
    Move,
    View,
    ViewedBatches,
    make_views,
    show,
    views_of,
)
from brainage.core.batches import TensorBatches
from brainage.data.augment import Variation, apply_variation
from tests.bundle.conftest import make_member
from tests.workflows.tiny import tiny_config


@pytest.fixture
def brain():
    """A lopsided brain (1, X, Y, Z), 0 around it."""
    generator = torch.Generator().manual_seed(3)
    volume = torch.zeros(1, 40, 48, 40)
    volume[:, 8:32, 10:40, 8:30] = 1 + torch.rand(1, 24, 30, 22, generator=generator)
    return volume


def test_the_first_view_is_the_scan_and_the_second_its_mirror_image(brain):
    plain, mirrored = (show(brain, view) for view in make_views(2))
    assert torch.equal(plain, brain)
    assert torch.equal(mirrored, brain.flip(1))


def test_more_views_are_small_moves_that_differ(brain):
    views = make_views(8)
    assert [view.flip for view in views] == [False, True] * 4
    shown = [show(brain, view) for view in views]
    for view, image in zip(views[2:], shown[2:], strict=True):
        assert max(abs(degrees) for degrees in view.move.degrees) <= MOST_DEGREES
        assert max(abs(shift) for shift in view.move.shift_voxels) <= MOST_VOXELS
        like = brain.flip(1) if view.flip else brain
        overlap = ((image != 0) & (like != 0)).sum() / (like != 0).sum()
        assert 0.85 < overlap < 1
        assert torch.equal(image, show(brain, view)), "the same each time"
    assert all(not torch.equal(a, b) for i, a in enumerate(shown) for b in shown[:i])


def in_views(bundle, number):
    return replace(bundle, config=tiny_config(inference={"test_time_augmentation": number}))


def test_a_symmetric_scan_has_no_spread_over_itself_and_its_mirror_image(brain, saved):
    bundle = in_views(saved, 2)
    symmetric = ((brain + brain.flip(1)) / 2)[0].numpy()
    assert bundle.predict(symmetric).spread_years == 0
    assert bundle.predict(brain[0].numpy()).spread_years > 0


def test_a_model_answers_with_the_mean_over_networks_and_views(brain, saved):
    members = tuple(make_member(saved.config, name, seed) for seed, name in enumerate("ab"))
    ages = [
        replace(saved, members=(member,)).predict(show(brain, view)[0].numpy()).age_years
        for view in make_views(3)
        for member in members
    ]
    said = in_views(replace(saved, members=members), 3).predict(brain[0].numpy())
    assert said.age_years == pytest.approx(np.mean(ages))
    assert said.spread_years == pytest.approx(np.std(ages))


def test_batches_are_seen_in_one_view(brain):
    inputs = torch.stack([brain, 2 * brain, 3 * brain])
    source = TensorBatches(inputs, torch.arange(3.0), batch_size=2, shuffle=False)
    seen = ViewedBatches(source, make_views(2)[1])
    assert (seen.num_samples, list(seen.batch_sizes)) == (3, [2, 1])
    batches = list(seen.batches(0, rows=lambda size: range(size - 1)))
    assert torch.equal(batches[0].inputs, inputs[:1].flip(2))
    assert [len(batch.targets) for batch in batches] == [2, 1]
    assert len(batches[1].inputs) == 0


def by_torchio(volume, view):
    """The same view by the library that moves the volumes of training."""
    affine = torchio.Affine(
        scales=(1.0, 1.0, 1.0),
        degrees=view.move.degrees,
        translation=view.move.shift_voxels,
        default_pad_value=0,
    )
    return apply_variation(volume, Variation(view.flip, affine), torch.Generator())


@pytest.mark.parametrize("touching", [False, True], ids=["background around", "cut by the grid"])
def test_a_move_is_that_of_training_s_augmentation(brain, touching):
    volume = brain[:, 8:32, 10:40, 8:30] if touching else brain
    large = View(flip=True, move=Move((9.0, -14.0, 21.0), (1.3, -2.6, 0.4)))
    for view in (*make_views(4)[2:], large):
        torch.testing.assert_close(show(volume, view), by_torchio(volume, view), atol=1e-4, rtol=0)


def test_volumes_of_a_batch_are_seen_each_for_itself(brain):
    batch = torch.stack([brain, 3 * brain.flip(2), torch.zeros_like(brain)])
    view = make_views(3)[2]
    alone = torch.stack([show(volume, view) for volume in batch])
    torch.testing.assert_close(show(batch, view), alone)
    assert not show(batch, view)[2].any(), "an empty volume stays empty"


def test_all_views_at_once_are_the_single_ones(brain):
    single = torch.stack([show(brain, view) for view in make_views(4)])
    assert torch.equal(views_of(brain, 4), single)


def test_views_do_without_the_library_that_moves_volumes_of_training():
    code = "import sys, brainage.bundle.views; assert 'torchio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
