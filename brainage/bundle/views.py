"""Test-time augmentation: the views of a scan that a network is asked about.

The same on every machine and in every call: nothing is drawn. The moves are rigid and small, of
the size by which a registration errs: at most ``MOST_DEGREES`` about each axis and ``MOST_VOXELS``
along it. They go through the same interpolation as those of training's augmentation.
"""

from collections.abc import Iterator, Sequence

import torch
import torchio
from torch import Tensor

from brainage.core.random import derive_seed
from brainage.core.types import Batch, BatchSource, Rows
from brainage.data.augment import Variation, apply_variation

MOST_DEGREES = 4.0
MOST_VOXELS = 0.5


def make_views(count: int) -> tuple[Variation, ...]:
    """The scan as it is, its mirror image, then small moves of either in turn.

    Args:
        count: how many; the first views do not depend on it.
    """
    return tuple(_view(number) for number in range(count))


def show(volume_CXYZ: Tensor, view: Variation) -> Tensor:
    """One view of a volume (1, X, Y, Z), which is not changed."""
    return apply_variation(volume_CXYZ, view, torch.Generator())


class ViewedBatches:
    """The batches of another source, every sample seen in one view.

    Args:
        source: delivers samples as they are.
        view: how they are seen.
    """

    def __init__(self, source: BatchSource, view: Variation) -> None:
        self._source = source
        self._view = view

    @property
    def num_samples(self) -> int:
        """Samples in one epoch."""
        return self._source.num_samples

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Samples in each batch of an epoch."""
        return self._source.batch_sizes

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of an epoch, see ``BatchSource``."""
        for batch in self._source.batches(epoch, first=first, rows=rows):
            seen = [show(volume, self._view) for volume in batch.inputs]
            yield Batch(torch.stack(seen) if seen else batch.inputs, batch.targets)


def _view(number: int) -> Variation:
    mirrored = number % 2 == 1
    if number < 2:
        return Variation(flip=mirrored)
    generator = torch.Generator().manual_seed(derive_seed("view", number))
    spread = (torch.rand(6, generator=generator) * 2 - 1).tolist()
    turn_x, turn_y, turn_z = (MOST_DEGREES * value for value in spread[:3])
    shift_x, shift_y, shift_z = (MOST_VOXELS * value for value in spread[3:])
    move = torchio.Affine(
        scales=(1.0, 1.0, 1.0),
        degrees=(turn_x, turn_y, turn_z),
        translation=(shift_x, shift_y, shift_z),
        default_pad_value=0,
    )
    return Variation(flip=mirrored, affine=move)
