import tracemalloc

import numpy as np
import pytest

from brainage.data.volumes import ArrayVolumes, CachedVolumes
from brainage.errors import CohortError

SHAPE_XYZ = (4, 5, 3)
VOLUME_BYTES = 4 * 5 * 3 * 4


class Shelf:
    """Volumes by key, and which keys were read."""

    def __init__(self, num_volumes):
        generator = np.random.default_rng(0)
        self.array = generator.normal(size=(num_volumes, *SHAPE_XYZ)).astype(np.float32)
        self.asked = []

    def read(self, key):
        self.asked.append(key)
        return self.array[int(key)]

    def volumes(self, memory_bytes):
        keys = [str(index) for index in range(len(self.array))]
        return CachedVolumes(keys, self.read, SHAPE_XYZ, memory_bytes=memory_bytes)


@pytest.fixture
def shelf():
    return Shelf(6)


@pytest.mark.parametrize(
    ("memory_bytes", "num_held"),
    [(0, 0), (VOLUME_BYTES - 1, 0), (2.5 * VOLUME_BYTES, 2), (1e9, 6)],
)
def test_as_many_volumes_as_fit_are_read_once(shelf, memory_bytes, num_held):
    volumes = shelf.volumes(memory_bytes)
    assert shelf.asked == [str(index) for index in range(num_held)]
    assert volumes.num_in_memory == num_held
    assert volumes.all_in_memory == (num_held == 6)
    for _ in range(2):
        shelf.asked.clear()
        assert np.array_equal(np.stack(list(volumes)), shelf.array)
        assert shelf.asked == [str(index) for index in range(num_held, 6)]


@pytest.mark.parametrize("memory_bytes", [0, 3 * VOLUME_BYTES])
def test_all_kinds_of_volumes_are_alike(shelf, memory_bytes):
    for volumes in (shelf.volumes(memory_bytes), ArrayVolumes(shelf.array)):
        assert len(volumes) == 6
        assert volumes.shape == (6, *SHAPE_XYZ)
        assert np.array_equal(volumes[4], shelf.array[4])
        chosen = volumes.subset([5, 1, 1, 3])
        assert chosen.shape == (4, *SHAPE_XYZ)
        assert chosen.all_in_memory == volumes.all_in_memory
        assert np.array_equal(np.stack(list(chosen)), shelf.array[[5, 1, 1, 3]])
        assert np.array_equal(chosen.subset([3, 0])[1], shelf.array[5])
        assert len(volumes.subset([])) == 0


def test_a_subset_reads_nothing_before_it_is_asked(shelf):
    volumes = shelf.volumes(0)
    chosen = volumes.subset([2, 4])
    assert shelf.asked == []
    assert np.array_equal(chosen[1], shelf.array[4])
    assert shelf.asked == ["4"]


def test_a_volume_that_is_gone_says_so_when_made_and_when_asked(shelf):
    def read(key):
        if key == "3":
            raise CohortError("3.npz: gone")
        return shelf.array[int(key)]

    keys = [str(index) for index in range(6)]
    with pytest.raises(CohortError, match=r"^3\.npz: gone$"):
        CachedVolumes(keys, read, SHAPE_XYZ, memory_bytes=1e9)
    volumes = CachedVolumes(keys, read, SHAPE_XYZ, memory_bytes=0)
    with pytest.raises(CohortError, match=r"^3\.npz: gone$"):
        volumes[3]


def test_memory_stays_below_the_limit_whatever_the_cohort():
    """200 volumes of 1 MB under a limit of 20 MB."""
    shape_XYZ = (64, 64, 64)
    size = 64**3 * 4

    def read(key):
        return np.full(shape_XYZ, float(key), np.float32)

    tracemalloc.start()
    try:
        volumes = CachedVolumes(
            [str(index) for index in range(200)], read, shape_XYZ, memory_bytes=20 * size
        )
        total = sum(float(volume[0, 0, 0]) for volume in volumes.subset(list(range(200))))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == sum(range(200))
    assert 20 * size <= peak < 24 * size
