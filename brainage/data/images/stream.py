"""Batches of images that are too many for memory: decoded by threads, ahead of training."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from brainage.core.batches import batch_sizes, epoch_order
from brainage.core.random import derive_seed
from brainage.core.types import Batch, Rows
from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.files import read_image

AHEAD = 2
"""Batches that are in the making before the one that is asked for."""
CENTRAL_SHARE = 0.875
"""Side of the central square in validation, as a share of the shorter side: 224 of 256."""
# Of the training images of ILSVRC2012, as is usual.
MEAN_RGB = torch.tensor([0.485, 0.456, 0.406])
SD_RGB = torch.tensor([0.229, 0.224, 0.225])
_TRIES = 10
_LOG_RATIO = float(np.log(4 / 3))

Box = tuple[float, float, float, float]


class StreamedImages:
    """A ``BatchSource`` over files.

    An image's crop depends on (seed, epoch, index of the image), so that any epoch can be delivered
    again, by any number of threads.

    Args:
        paths: of the images.
        labels: one, from 0, for each.
        size: height and width of what is delivered.
        batch_size: images in a batch; the last of an epoch may be smaller.
        num_loader_workers: threads.
        seed: of order and crops.
        shuffle: draw a new order each epoch.
        augmentation: random crops and mirror images; None takes the central square.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        *,
        size: int,
        batch_size: int,
        num_loader_workers: int = 1,
        seed: int = 0,
        shuffle: bool = False,
        augmentation: ImageAugmentationConfig | None = None,
    ) -> None:
        assert len(paths) == len(labels) > 0
        assert batch_size >= 1
        self._paths = paths
        self._labels_N = torch.tensor(labels, dtype=torch.int64)
        self._size = size
        self._batch_size = batch_size
        self._num_loader_workers = num_loader_workers
        self._seed = seed
        self._shuffle = shuffle
        self._augmentation = augmentation

    @property
    def num_samples(self) -> int:
        """Images in one epoch."""
        return len(self._labels_N)

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Images in each batch of an epoch."""
        return batch_sizes(self.num_samples, self._batch_size)

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of an epoch: inputs (B, 3, S, S) float32, labels (B,); see ``BatchSource``.

        Raises:
            DataError: if an image cannot be read.
        """
        order = epoch_order(self.num_samples, seed=self._seed, epoch=epoch, shuffle=self._shuffle)
        chosen = torch.split(order, self._batch_size)[first:]
        wanted = [
            batch.tolist() if rows is None else batch[list(rows(len(batch)))].tolist()
            for batch in chosen
        ]
        for batch, inputs in zip(chosen, self._inputs(wanted, epoch), strict=True):
            yield Batch(inputs, self._labels_N[batch])

    def _inputs(self, wanted: Sequence[Sequence[int]], epoch: int) -> Iterator[Tensor]:
        """The images of each batch, in order; threads share the images of a batch."""
        pool = ThreadPoolExecutor(self._num_loader_workers, thread_name_prefix="images")
        waiting: deque[list[Future[Tensor]]] = deque()
        try:
            for indices in wanted:
                waiting.append([pool.submit(self._load, index, epoch) for index in indices])
                if len(waiting) > AHEAD:
                    yield self._stacked(waiting.popleft())
            while waiting:
                yield self._stacked(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _stacked(self, loading: Sequence[Future[Tensor]]) -> Tensor:
        if not loading:
            return torch.empty(0, 3, self._size, self._size)
        images_BCHW = torch.stack([each.result() for each in loading]).float() / 255
        return (images_BCHW - MEAN_RGB[:, None, None]) / SD_RGB[:, None, None]

    def _load(self, index: int, epoch: int) -> Tensor:
        """One image (3, S, S), uint8."""
        image = Image.fromarray(read_image(self._paths[index]))
        box, flipped = central_box(image.size), False
        if self._augmentation is not None:
            seed = derive_seed(self._seed, "augmentation", epoch, index)
            generator = np.random.default_rng(seed)
            if self._augmentation.smallest_area < 1:
                box = random_box(image.size, self._augmentation.smallest_area, generator)
            flipped = self._augmentation.flip and bool(generator.random() < 0.5)
        cut = image.resize((self._size, self._size), Image.Resampling.BILINEAR, box=box)
        pixels = torch.from_numpy(np.array(cut)).permute(2, 0, 1)
        return pixels.flip(-1) if flipped else pixels


def central_box(size: tuple[int, int]) -> Box:
    """Left, top, right and bottom of the central square of an image (width, height)."""
    width, height = size
    side = CENTRAL_SHARE * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_box(size: tuple[int, int], smallest_area: float, generator: np.random.Generator) -> Box:
    """Left, top, right and bottom of a random part of an image (width, height).

    Its share of the area is uniform from ``smallest_area`` to 1, the logarithm of its sides' ratio
    uniform from 3:4 to 4:3; the central square where ten draws do not fit.

    Source: Szegedy et al. 2015, as commonly implemented.
    """
    width, height = size
    for _ in range(_TRIES):
        area = width * height * generator.uniform(smallest_area, 1)
        ratio = float(np.exp(generator.uniform(-_LOG_RATIO, _LOG_RATIO)))
        across, down = float(np.sqrt(area * ratio)), float(np.sqrt(area / ratio))
        if across <= width and down <= height:
            left, top = generator.uniform(0, width - across), generator.uniform(0, height - down)
            return left, top, left + across, top + down
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
