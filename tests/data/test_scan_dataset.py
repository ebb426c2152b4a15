import numpy as np
import pytest
import torch

from brainage.data.config import AugmentationConfig
from brainage.data.scan_dataset import ScanBatches

NUM_SCANS = 7


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
    return ScanBatches(volumes, np.arange(NUM_SCANS, dtype=np.float32), **settings)


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


@pytest.mark.distributed
def test_loader_processes_deliver_the_same_bits_and_leave_global_randomness(volumes):
    torch.rand(1)  # a loader that resets the generator to its seed is seen, too
    state = torch.random.get_rng_state()
    assert_same(source(volumes, num_loader_workers=2).batches(1), source(volumes).batches(1))
    assert torch.equal(torch.random.get_rng_state(), state)


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
