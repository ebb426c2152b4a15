"""What a data set of images is, once it is in memory."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImagePart:
    """The training or the test part: ``images_NCHW`` uint8 and ``labels_N`` int64."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __len__(self) -> int:
        return len(self.labels_N)

    def subset(self, indices_N: Tensor) -> "ImagePart":
        """The images of these indices (int64), in this order."""
        return ImagePart(self.images_NCHW[indices_N], self.labels_N[indices_N])


@dataclass(frozen=True)
class ImageSet:
    """A data set of small images.

    ``original`` says whether these are the images that published figures are of, and ``note`` what
    they are otherwise; it belongs beside every figure.
    """

    name: str
    class_names: tuple[str, ...]
    train: ImagePart
    test: ImagePart
    original: bool
    note: str

    @property
    def num_classes(self) -> int:
        """C, of the labels 0 to C - 1."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.images_NCHW.shape[1:]
        return (channels, height, width)


def channel_statistics(images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) of each channel of uint8 images, on the scale 0 to 1."""
    counts_C256 = torch.stack(
        [torch.bincount(channel.flatten(), minlength=256) for channel in images_NCHW.unbind(1)]
    ).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    total = counts_C256.sum(1)
    mean_C = (counts_C256 * values).sum(1) / total
    variance_C = (counts_C256 * (values - mean_C[:, None]).square()).sum(1) / total
    return mean_C.float(), variance_C.sqrt().float()
