"""Batches of preprocessed scans for training and evaluation."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from brainage.core.batches import batch_sizes, epoch_order
from brainage.core.random import derive_seed
from brainage.core.types import Batch, Rows
from brainage.data.augment import apply_variation, draw_variation
from brainage.data.config import AugmentationConfig
from brainage.data.sampling import draw_balanced, occurrences
from brainage.data.volumes import Volumes

AHEAD = 2
"""Batches that each loader thread prepares before they are asked for."""


@dataclass(frozen=True)
class Sample:
    """One place in an epoch."""

    epoch: int
    index: int
    """Of the scan."""
    repeat: int
    """How often the epoch has had this scan before."""

    def seed(self, seed: int) -> int:
        """Of its augmentation."""
        again = (self.repeat,) if self.repeat else ()
        return derive_seed(seed, "augmentation", self.epoch, self.index, *again)


class ScanBatches:
    """A ``BatchSource`` over preprocessed volumes.

    A sample's augmentation depends on (seed, epoch, index of the sample, how often the epoch had
    it before), the order of an epoch on (seed, epoch): any epoch can be delivered again, by any
    process, with any number of loader threads and wherever the volumes lie, bit for bit. No
    global random generator is read or moved.

    Args:
        volumes: N volumes (X, Y, Z), read one by one as batches need them.
        ages_years: (N,).
        batch_size: samples in a batch; the last of an epoch may be smaller.
        seed: of order and augmentation.
        shuffle: draw a new order each epoch; otherwise the order of ``volumes``.
        groups: the group of each sample; an epoch then draws N samples with replacement, every
            group as often as any other. None takes every sample once.
        augmentation: how volumes are varied, or None to deliver them as they are.
        num_loader_workers: threads that prepare batches ahead; 0 prepares them as they are asked
            for.
    """

    def __init__(
        self,
        volumes: Volumes,
        ages_years: Sequence[float] | npt.NDArray[np.float32],
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        groups: Sequence[str] | None = None,
        augmentation: AugmentationConfig | None = None,
        num_loader_workers: int = 0,
    ) -> None:
        assert len(volumes) == len(ages_years), (len(volumes), len(ages_years))
        assert groups is None or (shuffle and len(groups) == len(ages_years))
        assert batch_size >= 1, batch_size
        self._volumes = volumes
        self._ages_N = torch.as_tensor(ages_years, dtype=torch.float32)
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._groups = groups
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
        samples = self._samples(epoch)
        chosen = [
            samples[i : i + self._batch_size] for i in range(0, len(samples), self._batch_size)
        ][first:]
        wanted = [
            batch if rows is None else [batch[row] for row in rows(len(batch))] for batch in chosen
        ]
        for batch, inputs in zip(chosen, self._inputs(wanted), strict=True):
            yield Batch(inputs, self._ages_N[[sample.index for sample in batch]])

    def _inputs(self, wanted: Sequence[Sequence[Sample]]) -> Iterator[Tensor]:
        """The volumes (B, 1, X, Y, Z) of each batch's samples."""
        if self._num_loader_workers == 0:
            yield from map(self._prepared, wanted)
            return
        # Threads, not processes: a process forked from one that has threads (of MLflow, of ITK)
        # may wait for a lock that nobody in it holds.
        pool = ThreadPoolExecutor(self._num_loader_workers, thread_name_prefix="loader")
        waiting: deque[Future[Tensor]] = deque()
        try:
            for samples in wanted:
                waiting.append(pool.submit(self._prepared, samples))
                if len(waiting) > AHEAD * self._num_loader_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _samples(self, epoch: int) -> list[Sample]:
        order = self._order(epoch)
        return [
            Sample(epoch, index, repeat)
            for index, repeat in zip(order, occurrences(order), strict=True)
        ]

    def _order(self, epoch: int) -> list[int]:
        if self._groups is not None:
            return draw_balanced(self._groups, self._seed, epoch)
        order: list[int] = epoch_order(
            self.num_samples, seed=self._seed, epoch=epoch, shuffle=self._shuffle
        ).tolist()
        return order

    def _prepared(self, samples: Sequence[Sample]) -> Tensor:
        if not samples:
            return torch.empty(0, 1, *self._volumes.shape[1:])
        return torch.stack([self._load(sample) for sample in samples])

    def _load(self, sample: Sample) -> Tensor:
        volume_CXYZ = torch.from_numpy(self._volumes[sample.index]).unsqueeze(0)
        if self._augmentation is not None:
            generator = torch.Generator().manual_seed(sample.seed(self._seed))
            variation = draw_variation(self._augmentation, generator)
            volume_CXYZ = apply_variation(volume_CXYZ, variation, generator)
        return volume_CXYZ
