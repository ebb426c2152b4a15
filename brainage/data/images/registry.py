"""From settings to images: where a set lies, who trains, validates and tests, and the batches."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from brainage.core.random import derive_seed
from brainage.core.types import BatchSource
from brainage.data.config import DATA_VARIABLE, DEFAULT_DATA_FOLDER
from brainage.data.images.batches import ImageBatches
from brainage.data.images.cifar10 import read_cifar10
from brainage.data.images.config import ImageAugmentationConfig, ImageDataConfig
from brainage.data.images.image_set import ImagePart, ImageSet, channel_statistics
from brainage.data.images.imagenet import ImageFiles, read_imagenet
from brainage.data.images.mnist import read_mnist
from brainage.data.images.stream import StreamedImages
from brainage.data.images.tiny_imagenet import read_tiny_imagenet
from brainage.errors import DataError

READERS = {"mnist": read_mnist, "cifar10": read_cifar10, "tiny_imagenet": read_tiny_imagenet}
FOLDERS = {
    "mnist": ("mnist",),
    "cifar10": ("cifar10",),
    "tiny_imagenet": ("tiny_imagenet", "tiny_imagenet_subset"),
    "imagenet": ("imagenet", "imagenet_sample"),
}


class Images(Protocol):
    """A data set, split and ready to be trained on."""

    @property
    def note(self) -> str:
        """What these images are; belongs beside every figure."""

    @property
    def original(self) -> bool:
        """Whether they are all the images that published figures are of."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one input."""

    @property
    def sizes(self) -> dict[str, int]:
        """Images of each part: train, validation and test."""

    @property
    def digest(self) -> str:
        """Changes with the images and with who is in which part."""

    def batches(self, part: str, *, batch_size: int, seed: int, training: bool) -> BatchSource:
        """The batches of a part; shuffled and varied in training."""


def image_folder(config: ImageDataConfig) -> Path:
    """Where a set is looked for: the first of its usual places that is there, or the first."""
    home = Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA_FOLDER).expanduser()
    if config.root is None:
        places = [home / name for name in FOLDERS[config.name]]
        return next((place for place in places if place.is_dir()), places[0])
    folder = Path(config.root).expanduser()
    below_home = folder.parts[:1] == (f"${DATA_VARIABLE}",)
    return home.joinpath(*folder.parts[1:]) if below_home else folder


def open_images(
    config: ImageDataConfig,
    augmentation: ImageAugmentationConfig,
    device: torch.device,
) -> Images:
    """Read a set and split its training part.

    Args:
        config: which set, and how many images.
        augmentation: of training images.
        device: where small images are held.

    Raises:
        DataError: if the set is not there, damaged, or has too few images for what is asked.
    """
    folder = image_folder(config)
    if config.name == "imagenet":
        return FileImages(config, augmentation, folder)
    found = READERS[config.name](folder)
    parts = _split(config, found)
    _share(parts)
    statistics = channel_statistics(parts["train"].images_NCHW)
    complete = sum(map(len, parts.values())) == len(found.train) + len(found.test)
    return MemoryImages(
        note=found.note,
        original=found.original and complete,
        num_classes=found.num_classes,
        input_shape=_input_shape(found, augmentation),
        parts=parts,
        mean_C=statistics[0],
        sd_C=statistics[1],
        augmentation=augmentation,
        device=device,
    )


@dataclass(frozen=True, kw_only=True)
class MemoryImages:
    """Small images, all of them in memory; channels are standardised by the training images."""

    note: str
    original: bool
    num_classes: int
    input_shape: tuple[int, int, int]
    parts: dict[str, ImagePart]
    mean_C: Tensor
    sd_C: Tensor
    augmentation: ImageAugmentationConfig
    device: torch.device

    @property
    def sizes(self) -> dict[str, int]:
        """Images of each part."""
        return {name: len(part) for name, part in self.parts.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of all pixels and labels, part after part."""
        found = hashlib.sha256()
        for part in self.parts.values():
            found.update(part.images_NCHW.numpy().tobytes())
            found.update(part.labels_N.numpy().tobytes())
        return found.hexdigest()

    def batches(self, part: str, *, batch_size: int, seed: int, training: bool) -> BatchSource:
        """The batches of a part."""
        return ImageBatches(
            self.parts[part],
            self.mean_C,
            self.sd_C,
            batch_size=batch_size,
            device=self.device,
            seed=seed,
            training=training,
            augmentation=self.augmentation,
        )


class FileImages:
    """ImageNet: the validation part of the set tests, some of its training images validate.

    Where there is a sample without training images, its images are all three parts; a figure of
    it says nothing, it shows that everything runs.
    """

    def __init__(
        self, config: ImageDataConfig, augmentation: ImageAugmentationConfig, folder: Path
    ) -> None:
        test = read_imagenet(folder, "val")
        alone = not (folder / "train").is_dir()
        train = test if alone else read_imagenet(folder, "train")
        if train.class_names != test.class_names:
            raise DataError(f"{folder}: train and val are of different classes")
        labels = torch.tensor(train.labels)
        chosen = _chosen(labels, config.train_images, "data.train_images")
        held = chosen if alone else _held_out(labels, chosen, config.validation_images)
        kept = chosen if alone else _without(chosen, held)
        tested = _chosen(torch.tensor(test.labels), config.test_images, "data.test_images")
        self._parts = {
            "train": _picked(train, kept),
            "validation": _picked(train, held),
            "test": _picked(test, tested),
        }
        self._config = config
        self._augmentation = augmentation
        complete = (len(chosen), len(tested)) == (len(train), len(test))
        self.original = train.original and test.original and complete and not alone
        self.note = test.note if train.original or alone else train.note
        if alone:
            self.note += ", the same ones in training, validation and test"
        self.num_classes = len(test.class_names)
        self.input_shape = (3, config.image_size, config.image_size)
        self.sizes = {name: len(paths) for name, (paths, _) in self._parts.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of the files' names and their labels; a million files are not opened for it."""
        named = {
            name: [(path.name, label) for path, label in zip(*part, strict=True)]
            for name, part in self._parts.items()
        }
        return hashlib.sha256(repr(named).encode("utf-8", "surrogateescape")).hexdigest()

    def batches(self, part: str, *, batch_size: int, seed: int, training: bool) -> BatchSource:
        """The batches of a part, decoded ahead."""
        paths, labels = self._parts[part]
        return StreamedImages(
            paths,
            labels,
            size=self._config.image_size,
            batch_size=batch_size,
            num_loader_workers=self._config.num_loader_workers,
            seed=seed,
            shuffle=training,
            augmentation=self._augmentation if training else None,
        )


def _share(parts: dict[str, ImagePart]) -> None:
    """Put images where processes find them without a copy."""
    try:
        for part in parts.values():
            part.images_NCHW.share_memory_()  # type: ignore[no-untyped-call]
            part.labels_N.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        needed = sum(part.images_NCHW.nbytes for part in parts.values()) // 10**6
        raise DataError(
            f"shared memory (/dev/shm) is too small for {needed} MB of images; in a container give "
            f"it more, e.g. docker run --shm-size=2g: {str(error).splitlines()[0]}"
        ) from error


def _input_shape(found: ImageSet, augmentation: ImageAugmentationConfig) -> tuple[int, int, int]:
    """(C, H, W) of what is left of an image."""
    channels, height, width = found.shape
    size = augmentation.crop_size
    if size is not None and size > min(height, width):
        raise DataError(
            f"augmentation.crop_size: expected at most {min(height, width)}, the size of the "
            f"images of {found.name}, got {size}"
        )
    return (channels, *augmentation.cropped((height, width)))


def _picked(files: ImageFiles, indices: Tensor) -> tuple[Sequence[Path], Sequence[int]]:
    chosen = indices.tolist()
    return [files.paths[index] for index in chosen], [files.labels[index] for index in chosen]


def _split(config: ImageDataConfig, found: ImageSet) -> dict[str, ImagePart]:
    """The same images in every run: nothing depends on its seed."""
    labels = found.train.labels_N
    chosen = _chosen(labels, config.train_images, "data.train_images")
    held = _held_out(labels, chosen, config.validation_images)
    tested = _chosen(found.test.labels_N, config.test_images, "data.test_images")
    return {
        "train": found.train.subset(_without(chosen, held)),
        "validation": found.train.subset(held),
        "test": found.test.subset(tested),
    }


def _chosen(labels_N: Tensor, count: int | None, key: str) -> Tensor:
    """Indices, rising, of so many images, equally many of each class; of all without a count."""
    if count is None:
        return torch.arange(len(labels_N))
    return torch.sort(_of_each_class(labels_N, count, key))[0]


def _held_out(labels_N: Tensor, chosen: Tensor, count: int) -> Tensor:
    """Those of the chosen images that validate."""
    among = _of_each_class(labels_N[chosen], count, "data.validation_images")
    if len(among) >= len(chosen):
        raise DataError(
            f"data.validation_images: expected fewer than the {len(chosen)} training images, "
            f"got {count}"
        )
    return chosen[torch.sort(among)[0]]


def _of_each_class(labels_N: Tensor, count: int, key: str) -> Tensor:
    """So many indices, drawn once and for all; classes differ by one image at most."""
    classes = torch.unique(labels_N)
    if count < len(classes):
        raise DataError(f"{key}: expected at least {len(classes)}, one of each class, got {count}")
    generator = torch.Generator().manual_seed(derive_seed("image split", key))
    order = torch.randperm(len(labels_N), generator=generator)
    share, rest = divmod(count, len(classes))
    picked = []
    for place, label in enumerate(classes):
        own = order[labels_N[order] == label]
        wanted = share + (place < rest)
        if wanted > len(own):
            raise DataError(f"{key}: {count} are asked for, class {int(label)} has {len(own)}")
        picked.append(own[:wanted])
    return torch.cat(picked)


def _without(indices: Tensor, others: Tensor) -> Tensor:
    return indices[~torch.isin(indices, others)]
