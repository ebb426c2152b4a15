import threading

import numpy as np
import pytest
import torch

from brainage.core.random import derive_seed
from brainage.data.config import AugmentationConfig
from brainage.data.scan_dataset import Sample, ScanBatches
from brainage.data.volumes import ArrayVolumes, CachedVolumes
from brainage.errors import CohortError

NUM_SCANS = 7
EVERYTHING = AugmentationConfig(
    affine_probability=1,
    motion_probability=1,
    ghosting_probability=1,
    spike_probability=1,
    anisotropy_probability=1,
)
GROUPS = ["rare"] + ["frequent"] * (NUM_SCANS - 1)


@pytest.fixture(scope="module")
def volumes():
    generator = np.random.default_rng(0)
    volumes = np.zeros((NUM_SCANS, 10, 12, 10), np.float32)
    volumes[:, 2:8, 2:10, 2:8] = generator.normal(size=(NUM_SCANS, 6, 8, 6))
    return volumes


def source(volumes, **changes):
    settings = {
        "batch_size": 3,
        "seed": 5,
        "shuffle": True,
        "augmentation": AugmentationConfig(),
        **changes,
    }
    if isinstance(volumes, np.ndarray):
        volumes = ArrayVolumes(volumes)
    return ScanBatches(volumes, np.arange(NUM_SCANS, dtype=np.float32), **settings)


def held(volumes, num_held, gone=()):
    """The same volumes, of which only some are in memory and some are no longer on disk."""

    def read(key):
        if int(key) in gone:
            raise CohortError(f"cache/{key}.npz: gone")
        return volumes[int(key)]

    keys = [str(index) for index in range(NUM_SCANS)]
    memory = num_held * volumes[0].nbytes
    return CachedVolumes(keys, read, volumes.shape[1:], memory_bytes=memory)


def volume_of_age(batches):
    return {
        float(age): volume
        for batch in batches
        for volume, age in zip(batch.inputs, batch.targets, strict=True)
    }


def assert_same(one, other):
    one, other = list(one), list(other)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)


def test_evaluation_delivers_the_volumes_as_they_are_in_order(volumes):
    plain = source(volumes, shuffle=False, augmentation=None)
    batches = list(plain.batches(3))
    assert [len(batch.targets) for batch in batches] == [3, 3, 1]
    assert plain.num_samples == NUM_SCANS
    assert plain.batch_sizes == [len(batch.targets) for batch in batches]
    inputs = torch.cat([batch.inputs for batch in batches])
    assert torch.equal(inputs, torch.from_numpy(volumes)[:, None])
    targets = torch.cat([batch.targets for batch in batches])
    assert torch.equal(targets, torch.arange(NUM_SCANS, dtype=torch.float32))


def test_an_epoch_holds_every_sample_once_in_an_order_of_its_own(volumes):
    orders = [
        tuple(torch.cat([b.targets for b in source(volumes).batches(epoch)]).tolist())
        for epoch in range(4)
    ]
    assert all(sorted(order) == list(range(NUM_SCANS)) for order in orders)
    assert len(set(orders)) == 4


def test_an_epoch_comes_again_whatever_was_delivered_before(volumes):
    used = source(volumes)
    list(used.batches(0))
    next(used.batches(1))
    torch.manual_seed(123)
    assert_same(used.batches(2), source(volumes).batches(2))


def test_a_sample_is_varied_alike_in_any_order_and_batch(volumes):
    one = volume_of_age(source(volumes).batches(1))
    other = volume_of_age(source(volumes, shuffle=False, batch_size=2).batches(1))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[age], other[age]) for age in one)


@pytest.mark.parametrize("change", [{"epoch": 2}, {"seed": 6}])
def test_another_epoch_or_seed_varies_samples_otherwise(volumes, change):
    seed, epoch = change.get("seed", 5), change.get("epoch", 1)
    one = volume_of_age(source(volumes).batches(1))
    other = volume_of_age(source(volumes, seed=seed).batches(epoch))
    assert sum(torch.equal(one[age], other[age]) for age in one) < NUM_SCANS / 2


def test_loader_threads_deliver_the_same_bits_and_leave_global_randomness(volumes):
    torch.rand(1)  # a loader that resets the generator to its seed is seen, too
    state = torch.random.get_rng_state()
    settings = {"augmentation": EVERYTHING, "groups": GROUPS}
    loaded = source(held(volumes, 2), num_loader_workers=2, **settings).batches(1)
    assert_same(loaded, source(volumes, **settings).batches(1))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_who_stops_in_mid_epoch_leaves_no_thread_behind(volumes):
    batches = source(volumes, num_loader_workers=2).batches(0)
    next(batches)
    assert any(thread.name.startswith("loader") for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name.startswith("loader") for thread in threading.enumerate())


def test_equal_volumes_are_varied_each_in_its_own_way(volumes):
    alike = np.repeat(volumes[:1], NUM_SCANS, axis=0)
    varied = volume_of_age(source(alike).batches(0))
    assert len({volume.numpy().tobytes() for volume in varied.values()}) == NUM_SCANS


def test_global_randomness_is_not_touched(volumes):
    torch.rand(1)  # a loader that resets the generator to its seed is seen, too
    state = torch.random.get_rng_state()
    list(source(volumes).batches(0))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_volumes_are_not_changed(volumes):
    before = volumes.copy()
    list(source(volumes).batches(0))
    assert np.array_equal(volumes, before)


def test_where_the_volumes_lie_makes_no_difference(volumes):
    expected = list(source(volumes).batches(1))
    for num_held in (0, 3, NUM_SCANS):
        assert_same(source(held(volumes, num_held)).batches(1), expected)


@pytest.mark.parametrize("num_loader_workers", [0, 2])
def test_a_volume_that_is_gone_is_told_of_in_one_line(volumes, num_loader_workers):
    kept = held(volumes, 0, gone=[3])
    batches = source(kept, num_loader_workers=num_loader_workers).batches(0)
    with pytest.raises(CohortError, match=r"^cache/3\.npz: gone$"):
        list(batches)


def test_an_epoch_begins_anywhere_and_for_any_rows(volumes):
    whole = list(source(volumes, groups=GROUPS).batches(2))
    assert_same(source(volumes, groups=GROUPS).batches(2, first=1), whole[1:])
    second = source(volumes, groups=GROUPS).batches(2, rows=lambda size: [size - 1])
    for got, batch in zip(second, whole, strict=True):
        assert torch.equal(got.inputs, batch.inputs[-1:])
        assert torch.equal(got.targets, batch.targets)


def test_rows_that_want_nothing_read_nothing(volumes):
    kept = held(volumes, 0, gone=range(NUM_SCANS))
    batches = list(source(kept).batches(0, rows=lambda size: []))
    assert [batch.inputs.shape for batch in batches] == [(0, 1, 10, 12, 10)] * 3


def test_balanced_epochs_draw_rare_samples_more_often_each_time_varied_otherwise(volumes):
    balanced = source(volumes, groups=GROUPS, batch_size=NUM_SCANS, augmentation=EVERYTHING)
    epochs = [next(balanced.batches(epoch)) for epoch in range(20)]
    targets = torch.cat([batch.targets for batch in epochs])
    assert len(targets) == 20 * NUM_SCANS
    assert (targets == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)
    batch = max(epochs, key=lambda batch: (batch.targets == 0).sum().item())
    rare = batch.inputs[batch.targets == 0]
    assert len(rare) >= 3
    assert len({volume.numpy().tobytes() for volume in rare}) == len(rare)


def test_seeds_of_augmentation_stay_those_that_earlier_results_were_made_with():
    assert Sample(3, 5, repeat=0).seed(7) == derive_seed(7, "augmentation", 3, 5)


def test_a_sample_s_first_time_in_an_epoch_is_that_of_an_unbalanced_one(volumes):
    plain = volume_of_age(source(volumes).batches(1))
    drawn = {}
    for batch in source(volumes, groups=GROUPS).batches(1):
        for volume, age in zip(batch.inputs, batch.targets.tolist(), strict=True):
            drawn.setdefault(age, volume)
    assert all(torch.equal(volume, plain[age]) for age, volume in drawn.items())
