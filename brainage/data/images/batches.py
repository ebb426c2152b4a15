"""Batches of small images that are held as one tensor on the device, varied there all together."""

from collections.abc import Callable

import torch
from torch import Tensor

from brainage.core.batches import TensorBatches
from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.image_set import ImagePart
from brainage.data.images.variation import ImageVariation, centre_cropped


class ImageBatches(TensorBatches):
    """A ``BatchSource`` over a part of an image set.

    What happens to an image depends on (seed, epoch, index of the image), the order of an epoch on
    (seed, epoch). Images stay uint8 until their batch is made. Inputs are (B, C, H, W), targets the
    labels (B,).

    Args:
        part: the images, moved to ``device`` once.
        mean_C: of each channel, on the scale 0 to 1; subtracted.
        sd_C: of each channel; divided by.
        batch_size: images in a batch; the last of an epoch may be smaller.
        device: where images lie and are varied.
        seed: of order and augmentation.
        augmentation: how images are varied, and how large they are; None delivers them as they are.
        training: whether images are varied and the order is a new one each epoch; else they are
            cropped around their centre at most, in order.
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
        training: bool = False,
        augmentation: ImageAugmentationConfig | None = None,
    ) -> None:
        device = device or torch.device("cpu")
        images_NCHW = part.images_NCHW.to(device)
        super().__init__(
            images_NCHW, part.labels_N, batch_size=batch_size, seed=seed, shuffle=training
        )
        self._scale_C11 = (1 / (255 * sd_C))[:, None, None].to(device)
        self._shift_C11 = (mean_C / sd_C)[:, None, None].to(device)
        self._training = training
        self._augmentation = augmentation or ImageAugmentationConfig()

    def _preparation(self, epoch: int) -> Callable[[Tensor], Tensor]:
        height, width = self.inputs.shape[-2:]
        size = self._augmentation.cropped((height, width))
        variation = None
        if self._training:
            variation = ImageVariation(
                self._augmentation, self.num_samples, (height, width), seed=self.seed, epoch=epoch
            )

        def prepare(indices_B: Tensor) -> Tensor:
            images_BCHW = self.inputs[indices_B.to(self.inputs.device)]
            if variation is None:
                images_BCHW = centre_cropped(images_BCHW, size)
            else:
                images_BCHW = variation(images_BCHW, indices_B)
            return images_BCHW.float() * self._scale_C11 - self._shift_C11

        return prepare
