"""Test-time augmentation: what the views are, and that a model answers with their mean."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from brainage.bundle.views import MOST_DEGREES, MOST_VOXELS, ViewedBatches, make_views, show
from brainage.core.batches import TensorBatches
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
        assert max(abs(degrees) for degrees in view.affine.degrees) <= MOST_DEGREES
        assert max(abs(shift) for shift in view.affine.translation) <= MOST_VOXELS
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


def test_one_view_does_without_the_library_that_moves_volumes():
    code = "import sys, brainage.bundle.load; assert 'torchio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
