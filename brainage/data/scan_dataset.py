"""Batches of preprocessed scans for training and evaluation."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset
from torch import Tensor

from brainage.core.batches import batch_sizes
from brainage.core.random import derive_seed
from brainage.core.types import Batch, Rows
from brainage.data.augment import apply_variation, draw_variation
from brainage.data.config import AugmentationConfig


class ScanBatches:
    """A ``BatchSource`` over volumes held in memory.

    A sample's augmentation depends on (seed, epoch, index of the sample), the order of an epoch on
    (seed, epoch): any epoch can be delivered again, by any process and with any number of loader
    processes, bit for bit. No global random generator is read or moved.

    Args:
        volumes: (N, X, Y, Z) float32, exactly 0 outside the brain.
        ages_years: (N,).
        batch_size: samples in a batch; the last of an epoch may be smaller.
        seed: of order and augmentation.
        shuffle: draw a new order each epoch; otherwise the order of ``volumes``.
        augmentation: how volumes are varied, or None to deliver them as they are.
        num_loader_workers: processes that prepare batches ahead; 0 prepares them here.
    """

    def __init__(
        self,
        volumes: npt.NDArray[np.float32],
        ages_years: Sequence[float] | npt.NDArray[np.float32],
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        augmentation: AugmentationConfig | None = None,
        num_loader_workers: int = 0,
    ) -> None:
        assert volumes.ndim == 4, volumes.shape
        assert len(volumes) == len(ages_years), (len(volumes), len(ages_years))
        assert batch_size >= 1, batch_size
        # the channel axis of one; memory is shared with ``volumes`` where that is float32
        self._volumes_NCXYZ = torch.as_tensor(volumes, dtype=torch.float32).unsqueeze(1)
        self._ages_N = torch.as_tensor(ages_years, dtype=torch.float32)
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._augmentation = augmentation
        self._num_loader_workers = num_loader_workers

    @property
    def num_samples(self) -> int:
        """Samples in one epoch."""
        return len(self._ages_N)

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Samples in each batch of an epoch, the last smaller one included."""
        return batch_sizes(self.num_samples, self._batch_size)

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of epoch ``epoch``, in order: inputs (B, 1, X, Y, Z), ages (B,) in years.

        See ``BatchSource``: without ``rows`` that ask for them, volumes are neither read nor
        augmented.
        """
        order = self._order(epoch)
        chosen = [order[i : i + self._batch_size] for i in range(0, len(order), self._batch_size)]
        chosen = chosen[first:]
        wanted = [
            batch if rows is None else [batch[row] for row in rows(len(batch))] for batch in chosen
        ]
        for batch, volumes in zip(chosen, self._volumes(epoch, wanted), strict=True):
            yield Batch(volumes, self._ages_N[batch])

    def _volumes(self, epoch: int, wanted: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """The volumes (B, 1, X, Y, Z) of each batch's samples."""
        if not any(wanted):
            yield from (self._volumes_NCXYZ[:0] for _ in wanted)
            return
        samples = [{"epoch": epoch, "index": index} for batch in wanted for index in batch]
        ends = list(accumulate(len(batch) for batch in wanted))
        loader = DataLoader(
            Dataset(samples, transform=self._sample),
            batch_sampler=[
                list(range(end - len(batch), end)) for batch, end in zip(wanted, ends, strict=True)
            ],
            num_workers=self._num_loader_workers,
            collate_fn=self._collate,
            # or the loader would draw from the global generator, and set it back to its seed
            generator=torch.Generator(),
        )
        yield from loader

    def _order(self, epoch: int) -> list[int]:
        if not self._shuffle:
            return list(range(self.num_samples))
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch))
        order: list[int] = torch.randperm(self.num_samples, generator=generator).tolist()
        return order

    def _sample(self, place: dict[str, int]) -> Tensor:
        epoch, index = place["epoch"], place["index"]
        volume_CXYZ = self._volumes_NCXYZ[index]
        if self._augmentation is not None:
            seed = derive_seed(self._seed, "augmentation", epoch, index)
            generator = torch.Generator().manual_seed(seed)
            variation = draw_variation(self._augmentation, generator)
            volume_CXYZ = apply_variation(volume_CXYZ, variation, generator)
        return volume_CXYZ

    def _collate(self, volumes: Sequence[Any]) -> Tensor:
        return torch.stack(list(volumes)) if volumes else self._volumes_NCXYZ[:0]
