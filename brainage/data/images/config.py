"""Settings of image data: which set, where it is, and how training images are varied."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

ImageSetName = Literal["mnist", "cifar10", "tiny_imagenet", "imagenet"]


@dataclass(frozen=True, kw_only=True)
class ImageAugmentationConfig:
    """Random changes of a training image."""

    __pydantic_config__ = FORBID_UNKNOWN

    crop_padding: int = 0
    """Pixels of black added on every side of a small image before it is cropped to its size again
    at a random place; 0 does not crop."""
    crop_size: int | None = None
    """Height and width of that crop, if it is smaller than the image; images that validate or test
    are cropped to it around their centre. Null keeps the image's size."""
    elastic_strength: float = 0.0
    """Elastic distortion of a small image: smoothed noise, times this, is how far pixels are moved.
    Simard et al. 2003 took 34 for digits of 29 x 29; 0 does not distort."""
    elastic_smoothness: float = 4.0
    """Standard deviation in pixels of the Gaussian that smooths the noise."""
    flip: bool = False
    """Whether half of the images are mirrored left to right."""
    smallest_area: float = 0.08
    """Least share of an ImageNet image that a random crop keeps; its sides are in the ratio 3:4 to
    4:3. 1 takes the central square, as in validation."""

    def __post_init__(self) -> None:
        require(0 <= self.crop_padding <= 32, "crop_padding", "from 0 to 32", self.crop_padding)
        size = self.crop_size
        require(size is None or size >= 8, "crop_size", "at least 8, or null", size)
        strength, smoothness = self.elastic_strength, self.elastic_smoothness
        require(0 <= strength <= 200, "elastic_strength", "from 0 to 200", strength)
        require(0.5 <= smoothness <= 32, "elastic_smoothness", "from 0.5 to 32", smoothness)
        valid = 0 < self.smallest_area <= 1
        require(valid, "smallest_area", "a share in (0, 1]", self.smallest_area)

    @property
    def used_for_small_images(self) -> list[str]:
        """Settings in use that ImageNet's larger images have no use for."""
        names = ("crop_padding", "crop_size", "elastic_strength")
        return [name for name in names if getattr(self, name)]

    def cropped(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of what is left of a small image of (H, W)."""
        return shape if self.crop_size is None else (self.crop_size, self.crop_size)


@dataclass(frozen=True, kw_only=True)
class ImageDataConfig:
    """Which images."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: ImageSetName = "mnist"
    """The data set."""
    root: str | None = None
    """Its folder. Null looks below ``$BRAINAGE_DATA``, or ``../shared/data`` where that is not set,
    in ``mnist``, ``cifar10``, ``tiny_imagenet``, ``tiny_imagenet_subset``, ``imagenet`` and
    ``imagenet_sample``. A leading ``$BRAINAGE_DATA`` stands for that variable."""
    validation_images: int = 5000
    """Training images, equally many of each class, that validate instead of training."""
    train_images: int | None = None
    """Training images, equally many of each class, that are used; null uses all. A reduced run."""
    test_images: int | None = None
    """Test images, equally many of each class, that are used; null uses all. A reduced run."""
    image_size: int = 224
    """Height and width of ImageNet's images; those of the other sets are what they are."""
    num_loader_workers: int = 4
    """Threads that decode ImageNet's images ahead of training."""

    def __post_init__(self) -> None:
        require(self.validation_images >= 1, "validation_images", "at least 1",
                self.validation_images)  # fmt: skip
        for field in ("train_images", "test_images"):
            value = getattr(self, field)
            require(value is None or value >= 1, field, "at least 1, or null", value)
        require(self.image_size >= 8, "image_size", "at least 8", self.image_size)
        workers = self.num_loader_workers
        require(workers >= 1, "num_loader_workers", "at least 1", workers)
