"""Random changes of small training images, of a whole batch at once, on the device it lies on.

Shape letters: B images, C channels, H rows, W columns.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from brainage.core.random import derive_seed
from brainage.data.images.config import ImageAugmentationConfig

_REACH = 3
"""Standard deviations at which the smoothing of an elastic distortion is cut off."""


class ImageVariation:
    """The changes of one epoch. Those of an image depend on (seed, epoch, index of the image).

    Args:
        config: which changes.
        num_images: N, of the whole set.
        shape: (H, W) of an image.
        seed: of all epochs.
        epoch: which one.
    """

    def __init__(
        self,
        config: ImageAugmentationConfig,
        num_images: int,
        shape: tuple[int, int],
        *,
        seed: int,
        epoch: int,
    ) -> None:
        generator = torch.Generator().manual_seed(derive_seed(seed, "augmentation", epoch))
        self._config = config
        self._shape = shape
        self._path = (seed, "elastic", epoch)
        self._flipped_N = torch.rand(num_images, generator=generator) < (0.5 if config.flip else 0)
        self._size = config.cropped(shape)
        places = [
            full + 2 * config.crop_padding - cropped + 1
            for full, cropped in zip(shape, self._size, strict=True)
        ]
        self._corners = [
            torch.randint(count, (num_images,), generator=generator) for count in places
        ]

    def __call__(self, images_BCHW: Tensor, indices_B: Tensor) -> Tensor:
        """Distorted, mirrored and cropped images; uint8 unless they are distorted.

        Args:
            images_BCHW: uint8, as they are in the set.
            indices_B: their indices in the set, on the CPU.
        """
        device = images_BCHW.device
        if self._config.elastic_strength > 0:
            seeds = [derive_seed(*self._path, index) for index in indices_B.tolist()]
            shifts_B2HW = elastic_shifts(seeds, self._shape, self._config).to(device)
            images_BCHW = displaced(images_BCHW.float(), shifts_B2HW)
        flipped_B111 = self._flipped_N[indices_B].to(device)[:, None, None, None]
        images_BCHW = torch.where(flipped_B111, images_BCHW.flip(-1), images_BCHW)
        padding = self._config.crop_padding
        if padding == 0 and self._size == self._shape:
            return images_BCHW
        down_B, right_B = (corner[indices_B].to(device) for corner in self._corners)
        return cropped(F.pad(images_BCHW, (padding,) * 4), down_B, right_B, self._size)


def cropped(images_BCHW: Tensor, down_B: Tensor, right_B: Tensor, size: tuple[int, int]) -> Tensor:
    """Of every image the part of ``size`` whose upper left corner is at (down, right)."""
    device = images_BCHW.device
    rows_BH = down_B[:, None] + torch.arange(size[0], device=device)
    columns_BW = right_B[:, None] + torch.arange(size[1], device=device)
    samples_B11 = torch.arange(len(images_BCHW), device=device)[:, None, None]
    images_BHWC = images_BCHW.permute(0, 2, 3, 1)
    return images_BHWC[samples_B11, rows_BH[:, :, None], columns_BW[:, None]].permute(0, 3, 1, 2)


def centre_cropped(images_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """The central part of every image."""
    height, width = images_BCHW.shape[-2:]
    down, right = (height - size[0]) // 2, (width - size[1]) // 2
    return images_BCHW[..., down : down + size[0], right : right + size[1]]


def elastic_shifts(
    seeds: list[int], shape: tuple[int, int], config: ImageAugmentationConfig
) -> Tensor:
    """How far every pixel of an image is moved, in pixels (B, 2, H, W): to the right, and down.

    Uniform noise from -1 to 1 is smoothed by a Gaussian and multiplied by the strength. Source:
    Simard et al. 2003, "Best practices for convolutional neural networks".

    Args:
        seeds: one for each image.
        shape: (H, W).
        config: strength and smoothness.
    """
    noise_B2HW = torch.stack(
        [torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
    reach = round(_REACH * config.elastic_smoothness)
    steps = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (steps / config.elastic_smoothness).square())
    kernel = kernel / kernel.sum()
    planes = (2 * noise_B2HW - 1).flatten(0, 1)[:, None]
    planes = F.conv2d(planes, kernel[None, None, :, None], padding=(reach, 0))
    planes = F.conv2d(planes, kernel[None, None, None, :], padding=(0, reach))
    return config.elastic_strength * planes.view_as(noise_B2HW)


def displaced(images_BCHW: Tensor, shifts_B2HW: Tensor) -> Tensor:
    """Every pixel from where its shift points, between pixels linearly, black from outside.

    Args:
        images_BCHW: float.
        shifts_B2HW: in pixels, to the right and down.
    """
    height, width = images_BCHW.shape[-2:]
    device = images_BCHW.device
    columns_BHW = shifts_B2HW[:, 0] + torch.arange(width, device=device)
    rows_BHW = shifts_B2HW[:, 1] + torch.arange(height, device=device)[:, None]
    # grid_sample counts from the first pixel's centre, -1, to the last one's, 1.
    grid_BHW2 = torch.stack(
        [2 * columns_BHW / (width - 1) - 1, 2 * rows_BHW / (height - 1) - 1], dim=-1
    )
    return F.grid_sample(images_BCHW, grid_BHW2, padding_mode="zeros", align_corners=True)
