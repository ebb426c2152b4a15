"""Images of a set as grey pictures in memory: some of each class, the same ones every time."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from brainage.core.random import derive_seed
from brainage.data.images.config import ImageDataConfig, ImageSetName
from brainage.data.images.files import read_image
from brainage.data.images.imagenet import read_imagenet
from brainage.data.images.registry import READERS, image_folder


@dataclass(frozen=True)
class GreySample:
    """``pictures``: each (H, W), the mean of the channels, on the scale 0 to 1; sizes may differ.

    ``labels`` has one for each, ``note`` tells what copy of the set it is.
    """

    name: ImageSetName
    pictures: tuple[Tensor, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    note: str


def grey_sample(
    config: ImageDataConfig, *, count: int | None = None, per_class: int | None = None
) -> GreySample:
    """Training images, or all there are where a set has no training part.

    Args:
        config: which set, and its folder.
        count: images in all, spread evenly over the classes; all that there are, if fewer.
        per_class: images of each class, in place of ``count``.

    Raises:
        DataError: if the set is not there or damaged.
    """
    folder = image_folder(config)
    if config.name == "imagenet":
        part = "train" if (folder / "train").is_dir() else "val"
        files = read_imagenet(folder, "train" if part == "train" else "val")
        chosen = _spread(torch.tensor(files.labels), count, per_class)
        pictures = tuple(_grey_file(files.paths[index]) for index in chosen)
        labels = tuple(files.labels[index] for index in chosen)
        return GreySample(config.name, pictures, labels, files.class_names, files.note)
    found = READERS[config.name](folder)
    chosen = _spread(found.train.labels_N, count, per_class)
    own = found.train.subset(torch.tensor(chosen))
    grey_NHW = own.images_NCHW.float().mean(1) / 255
    return GreySample(
        config.name, tuple(grey_NHW), tuple(own.labels_N.tolist()), found.class_names, found.note
    )


def _grey_file(path: Path) -> Tensor:
    return torch.from_numpy(read_image(path).copy()).float().mean(2) / 255


def _spread(labels_N: Tensor, count: int | None, per_class: int | None) -> list[int]:
    """Indices, rising: classes take turns, each in an order of its own drawn once and for all."""
    generator = torch.Generator().manual_seed(derive_seed("complexity sample"))
    order = torch.randperm(len(labels_N), generator=generator)
    by_class = [order[labels_N[order] == label].tolist() for label in torch.unique(labels_N)]
    most = max(len(own) for own in by_class) if per_class is None else per_class
    turns = [own[turn] for turn in range(most) for own in by_class if turn < len(own)]
    return sorted(turns if count is None else turns[:count])
