"""Preprocessed volumes by index: all in memory, or as many as fit and the rest from disk."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from monai.data.dataset import CacheDataset
from monai.transforms.transform import Transform

from brainage.errors import BrainageError

Volume = npt.NDArray[np.float32]
ReadVolume = Callable[[str], Volume]

_log = logging.getLogger(__name__)
_GIGABYTE = 1e9


class Volumes(Protocol):
    """Volumes of one shape, exactly 0 outside the brain, that are never changed.

    A subset is a view: it costs no memory. Iterating reads one volume after the other.
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, X, Y, Z)."""

    def __len__(self) -> int:
        """Number of volumes N."""

    def __getitem__(self, index: int, /) -> Volume:
        """One volume (X, Y, Z), float32."""

    def __iter__(self) -> Iterator[Volume]:
        """All volumes in order, one in memory at a time."""

    def subset(self, indices: Sequence[int]) -> "Volumes":
        """The volumes at these places, in this order."""

    @property
    def all_in_memory(self) -> bool:
        """Whether none of them has to be read from disk."""


class ArrayVolumes:
    """Volumes of one array (N, X, Y, Z) in memory."""

    def __init__(self, array: npt.NDArray[np.float32]) -> None:
        assert array.ndim == 4, array.shape
        self._array = array.astype(np.float32, copy=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, X, Y, Z)."""
        num, x, y, z = self._array.shape
        return num, x, y, z

    def __len__(self) -> int:
        """Number of volumes N."""
        return len(self._array)

    def __getitem__(self, index: int) -> Volume:
        """One volume (X, Y, Z)."""
        volume: Volume = self._array[index]
        return volume

    def __iter__(self) -> Iterator[Volume]:
        """All volumes in order."""
        return iter(self._array)

    def subset(self, indices: Sequence[int]) -> "VolumeSubset":
        """The volumes at these places, in this order."""
        return VolumeSubset(self, indices)

    @property
    def all_in_memory(self) -> bool:
        """Always."""
        return True


class CachedVolumes:
    """Volumes that a function reads by key; the first that fit a limit stay in memory.

    MONAI's ``CacheDataset`` holds those that fit, read when this is made; it reads the others each
    time they are asked for. Loader threads share what is held.

    Args:
        keys: names of the volumes, handed to ``read``.
        read: returns a volume (X, Y, Z), float32, the same each time.
        shape_XYZ: of every volume.
        memory_bytes: what the volumes in memory may take.

    Raises:
        BrainageError: what ``read`` raises, here and whenever a volume is asked for.
    """

    def __init__(
        self,
        keys: Sequence[str],
        read: ReadVolume,
        shape_XYZ: tuple[int, int, int],
        *,
        memory_bytes: float,
    ) -> None:
        self._shape_XYZ = shape_XYZ
        size = int(np.prod(shape_XYZ)) * np.dtype(np.float32).itemsize
        num_held = min(len(keys), int(memory_bytes // size))
        if num_held < len(keys):
            _log.info(
                "%d of %d volumes fit into %.3g GB of memory; the others are read as needed",
                num_held,
                len(keys),
                memory_bytes / _GIGABYTE,
            )
        try:
            self._dataset = CacheDataset(
                list(keys), _Read(read), cache_num=num_held, progress=False, copy_cache=False
            )
        except RuntimeError as error:
            raise _reason(error) from error

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, X, Y, Z)."""
        return len(self), *self._shape_XYZ

    def __len__(self) -> int:
        """Number of volumes N."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Volume:
        """One volume (X, Y, Z), from memory or read now."""
        try:
            volume: Volume = self._dataset[index]
        except RuntimeError as error:
            raise _reason(error) from error
        return volume

    def __iter__(self) -> Iterator[Volume]:
        """All volumes in order, one in memory at a time."""
        return (self[index] for index in range(len(self)))

    def subset(self, indices: Sequence[int]) -> "VolumeSubset":
        """The volumes at these places, in this order."""
        return VolumeSubset(self, indices)

    @property
    def num_in_memory(self) -> int:
        """How many are held."""
        return self._dataset.cache_num

    @property
    def all_in_memory(self) -> bool:
        """Whether none of them has to be read from disk."""
        return self.num_in_memory == len(self)


class VolumeSubset:
    """Some volumes of others."""

    def __init__(self, volumes: Volumes, indices: Sequence[int]) -> None:
        self._volumes = volumes
        self._indices = np.asarray(indices, dtype=np.int64)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, X, Y, Z)."""
        return len(self), *self._volumes.shape[1:]

    def __len__(self) -> int:
        """Number of volumes N."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Volume:
        """One volume (X, Y, Z)."""
        return self._volumes[int(self._indices[index])]

    def __iter__(self) -> Iterator[Volume]:
        """All volumes in order, one in memory at a time."""
        return (self[index] for index in range(len(self)))

    def subset(self, indices: Sequence[int]) -> "VolumeSubset":
        """The volumes at these places, in this order."""
        return VolumeSubset(self._volumes, self._indices[list(indices)].tolist())

    @property
    def all_in_memory(self) -> bool:
        """Whether none of all volumes has to be read from disk."""
        return self._volumes.all_in_memory


class _Read(Transform):
    """``CacheDataset`` keeps what MONAI's own kind of transform makes, and nothing else."""

    def __init__(self, read: ReadVolume) -> None:
        self._read = read

    def __call__(self, key: str) -> Volume:
        return self._read(key)


def _reason(error: RuntimeError) -> Exception:
    """What went wrong below MONAI, which wraps it in an error of its own."""
    return error.__cause__ if isinstance(error.__cause__, BrainageError) else error
