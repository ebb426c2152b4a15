"""Tiny-ImageNet: the folders of the original archive, or Parquet files of its images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from brainage.data.images.files import Pixels, as_channels_first, read_image
from brainage.data.images.image_set import ImagePart, ImageSet
from brainage.data.images.parquet import ParquetImages
from brainage.errors import DataError

SIZE = 64
NUM_CLASSES = 200
NUM_TRAIN, NUM_VALIDATION = 100_000, 10_000
ORIGINAL = "the original images; tested on the validation part, whose labels are public"


def read_tiny_imagenet(folder: Path) -> ImageSet:
    """The data set, from whichever form the folder has it in; its validation part is the test part.

    Args:
        folder: holds ``wnids.txt`` with ``train/`` and ``val/`` as in ``tiny-imagenet-200.zip``, or
            with Parquet files named ``train*.parquet`` and ``val*.parquet``.

    Raises:
        DataError: if files are missing, damaged or not those of Tiny-ImageNet.
    """
    place = folder / "tiny-imagenet-200" if (folder / "tiny-imagenet-200").is_dir() else folder
    names = _class_names(place)
    if (place / "train").is_dir():
        train, test = _folder_train(place, names), _folder_validation(place, names)
    elif sorted(place.glob("train*.parquet")):
        train, test = (_parquet(place, part) for part in ("train", "val"))
    else:
        raise DataError(
            f"{folder}: no Tiny-ImageNet is there; unpack tiny-imagenet-200.zip of "
            "cs231n.stanford.edu there, or name the folder that holds it with data.root"
        )
    complete = (len(train), len(test)) == (NUM_TRAIN, NUM_VALIDATION)
    per_class = f"{len(train) // NUM_CLASSES} training and {len(test) // NUM_CLASSES} test images"
    note = ORIGINAL if complete else f"a subset: {per_class} of each of {NUM_CLASSES} classes"
    return ImageSet("tiny_imagenet", names, train, test, original=complete, note=note)


def _class_names(folder: Path) -> tuple[str, ...]:
    """The classes' WordNet numbers; a label is the index here."""
    path = folder / "wnids.txt"
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: is missing; unpack tiny-imagenet-200.zip of cs231n.stanford.edu there, or "
            "name the folder that holds it with data.root"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(set(names)) != NUM_CLASSES:
        raise DataError(f"{path}: expected {NUM_CLASSES} classes, got {len(set(names))}")
    return names


def _parquet(folder: Path, part: str) -> ImagePart:
    paths = sorted(folder.glob(f"{part}*.parquet"))
    if not paths:
        raise DataError(f"{folder}: {part}*.parquet is missing")
    images, labels = [], []
    for path in paths:
        rows = ParquetImages(path, "image")
        images.append(as_channels_first(rows.pixels(), SIZE, str(path)))
        labels.append(rows.labels)
    return _part(np.concatenate(images), np.concatenate(labels), folder / part)


def _folder_train(folder: Path, names: tuple[str, ...]) -> ImagePart:
    paths, labels = [], []
    for label, name in enumerate(names):
        found = sorted((folder / "train" / name / "images").glob("*.JPEG"))
        paths += found
        labels += [label] * len(found)
    images = as_channels_first(map(read_image, paths), SIZE, str(folder / "train"))
    return _part(images, np.asarray(labels, dtype=np.int64), folder / "train")


def _folder_validation(folder: Path, names: tuple[str, ...]) -> ImagePart:
    """Named in ``val_annotations.txt``: file, class and a box, separated by tabs."""
    table = folder / "val" / "val_annotations.txt"
    try:
        lines = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    label_of = {name: label for label, name in enumerate(names)}
    try:
        labels = np.asarray([label_of[line[1]] for line in lines], dtype=np.int64)
    except (KeyError, IndexError) as error:
        raise DataError(f"{table}: names a class that wnids.txt does not: {error}") from error

    def pixels() -> Iterator[Pixels]:
        for line in lines:
            yield read_image(folder / "val" / "images" / line[0])

    return _part(as_channels_first(pixels(), SIZE, str(folder / "val")), labels, folder / "val")


def _part(images: Pixels, labels: npt.NDArray[np.int64], source: Path) -> ImagePart:
    """Checked: equally many images of each class."""
    per_class = np.bincount(labels, minlength=NUM_CLASSES)
    if len(per_class) != NUM_CLASSES or per_class.min() == 0 or per_class.min() != per_class.max():
        raise DataError(
            f"{source}: expected equally many images of {NUM_CLASSES} classes, got "
            f"{per_class.min()} to {per_class.max()} of {len(per_class)} classes"
        )
    return ImagePart(torch.from_numpy(images), torch.from_numpy(labels))
