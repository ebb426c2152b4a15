"""Batches of small images that are held as one tensor on the device, varied there all together."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from brainage.core.batches import batch_sizes
from brainage.core.random import derive_seed
from brainage.core.types import Batch, Rows
from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.image_set import ImagePart


class ImageBatches:
    """A ``BatchSource`` over a part of an image set.

    What happens to an image depends on (seed, epoch, index of the image), the order of an epoch on
    (seed, epoch). Images stay uint8 until their batch is made.

    Args:
        part: the images, moved to ``device`` once.
        mean_C: of each channel, on the scale 0 to 1; subtracted.
        sd_C: of each channel; divided by.
        batch_size: images in a batch; the last of an epoch may be smaller.
        device: where images lie and are varied.
        seed: of order and augmentation.
        shuffle: draw a new order each epoch.
        augmentation: how images are varied; None delivers them as they are.
    """

    def __init__(
        self,
        part: ImagePart,
        mean_C: Tensor,
        sd_C: Tensor,
        *,
        batch_size: int,
        device: torch.device | None = None,
        seed: int = 0,
        shuffle: bool = False,
        augmentation: ImageAugmentationConfig | None = None,
    ) -> None:
        assert len(part) > 0
        assert batch_size >= 1
        self._device = device or torch.device("cpu")
        self._images_NCHW = part.images_NCHW.to(self._device)
        self._labels_N = part.labels_N
        self._scale_C11 = (1 / (255 * sd_C))[:, None, None].to(self._device)
        self._shift_C11 = (mean_C / sd_C)[:, None, None].to(self._device)
        self._batch_size = batch_size
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
        """The batches of an epoch: inputs (B, C, H, W), labels (B,); see ``BatchSource``."""
        moves = self._moves(epoch)
        for chosen in torch.split(self._order(epoch), self._batch_size)[first:]:
            wanted = chosen if rows is None else chosen[list(rows(len(chosen)))]
            images_BCHW = self._images_NCHW[wanted.to(self._device)]
            if moves is not None:
                flipped, down, right = (move[wanted].to(self._device) for move in moves)
                images_BCHW = self._varied(images_BCHW, flipped, down, right)
            inputs = images_BCHW.float() * self._scale_C11 - self._shift_C11
            yield Batch(inputs, self._labels_N[chosen])

    def _order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return torch.arange(self.num_samples)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch))
        return torch.randperm(self.num_samples, generator=generator)

    def _moves(self, epoch: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """For every image of the set (N,): mirrored or not, and where its crop begins."""
        if self._augmentation is None:
            return None
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "augmentation", epoch))
        count, most = self.num_samples, 2 * self._augmentation.crop_padding + 1
        flipped = torch.rand(count, generator=generator) < (0.5 if self._augmentation.flip else 0)
        down, right = (torch.randint(most, (count,), generator=generator) for _ in range(2))
        return flipped, down, right

    def _varied(
        self, images_BCHW: Tensor, flipped_B: Tensor, down_B: Tensor, right_B: Tensor
    ) -> Tensor:
        assert self._augmentation is not None
        images_BCHW = torch.where(flipped_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)
        padding = self._augmentation.crop_padding
        if padding == 0:
            return images_BCHW
        height, width = images_BCHW.shape[-2:]
        padded = F.pad(images_BCHW, (padding,) * 4)
        rows_BH = down_B[:, None] + torch.arange(height, device=padded.device)
        columns_BW = right_B[:, None] + torch.arange(width, device=padded.device)
        samples = torch.arange(len(padded), device=padded.device)[:, None, None]
        cropped_BHWC = padded.permute(0, 2, 3, 1)[samples, rows_BH[:, :, None], columns_BW[:, None]]
        return cropped_BHWC.permute(0, 3, 1, 2)
