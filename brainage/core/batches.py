"""Batches from tensors in memory, and sources around others."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from brainage.core.random import derive_seed
from brainage.core.types import Batch, BatchSource, Rows


def batch_sizes(num_samples: int, batch_size: int) -> Sequence[int]:
    """Samples in each batch of an epoch: equal ones but for the last."""
    whole, rest = divmod(num_samples, batch_size)
    return [batch_size] * whole + [rest] * (rest > 0)


def epoch_order(num_samples: int, *, seed: int, epoch: int, shuffle: bool = True) -> Tensor:
    """Indices (N,) of the samples in the order of an epoch, which (seed, epoch) alone decide."""
    if not shuffle:
        return torch.arange(num_samples)
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_samples, generator=generator)


class TensorBatches:
    """A batch source over tensors, whose order depends on (seed, epoch) alone.

    Args:
        inputs: (N, ...).
        targets: (N,): ages in years (float) or class indices (int64).
        batch_size: samples in one batch; the last of an epoch may be smaller.
        seed: of the order.
        shuffle: whether each epoch has an order of its own; else samples come as they are.

    Raises:
        ValueError: if the tensors are empty or differ in length.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        if len(inputs) != len(targets) or len(targets) == 0:
            raise ValueError(
                f"expected as many targets as inputs, and at least one, got {len(targets)} targets "
                f"for {len(inputs)} inputs"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.inputs = inputs
        self.targets = targets
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle

    @property
    def num_samples(self) -> int:
        """Samples in one epoch."""
        return len(self.targets)

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Samples in each batch of an epoch."""
        return batch_sizes(self.num_samples, self.batch_size)

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of epoch ``epoch`` (0-based), in order; see ``BatchSource``."""
        order = epoch_order(self.num_samples, seed=self.seed, epoch=epoch, shuffle=self.shuffle)
        prepare = self._preparation(epoch)
        for chosen in torch.split(order, self.batch_size)[first:]:
            wanted = chosen if rows is None else chosen[list(rows(len(chosen)))]
            yield Batch(prepare(wanted), self.targets[chosen])

    def _preparation(self, epoch: int) -> Callable[[Tensor], Tensor]:  # noqa: ARG002 - see subclasses
        """What makes the inputs (B, ...) of an epoch from the indices (B,) of samples."""
        return self.inputs.__getitem__


class WrappedBatches:
    """A batch source around another: as many samples and batches; what is done is for a subclass.

    Args:
        source: delivers the batches.
    """

    def __init__(self, source: BatchSource) -> None:
        self._source = source

    @property
    def num_samples(self) -> int:
        """Samples in one epoch."""
        return self._source.num_samples

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Samples in each batch of an epoch."""
        return self._source.batch_sizes
