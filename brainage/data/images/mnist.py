"""MNIST from its four IDX files."""

import gzip
import hashlib
import zlib
from pathlib import Path

import torch
from torch import Tensor

from brainage.data.images.image_set import ImagePart, ImageSet
from brainage.errors import DataError

CLASSES = tuple("0123456789")

# Of the unpacked files, so that it does not matter how they were packed.
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_UNSIGNED_BYTES = 8


def read_mnist(folder: Path) -> ImageSet:
    """The data set: 60,000 training and 10,000 test images (1, 28, 28).

    Args:
        folder: holds the four files of the original distribution, packed (``.gz``) or not.

    Raises:
        DataError: if a file is missing or is not the original.
    """
    contents = {name: _original(folder, name) for name in _SHA256}
    parts = []
    for part in ("train", "t10k"):
        images = parse_idx(contents[f"{part}-images-idx3-ubyte"], 3)
        labels = parse_idx(contents[f"{part}-labels-idx1-ubyte"], 1)
        parts.append(ImagePart(images[:, None], labels.long()))
    train, test = parts
    return ImageSet("mnist", CLASSES, train, test, original=True, note="the original images")


def _original(folder: Path, name: str) -> bytes:
    """The unpacked content of one file, checked against the original's."""
    paths = [path for path in (folder / f"{name}.gz", folder / name) if path.is_file()]
    if not paths:
        raise DataError(
            f"{folder}: {name}.gz is missing; put the four IDX files of MNIST there, or name their "
            "folder"
        )
    try:
        content = paths[0].read_bytes()
        if paths[0].suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{paths[0]}: cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise DataError(
            f"{paths[0]}: is not the original file of MNIST (its SHA-256 differs); fetch it again"
        )
    return content


def parse_idx(content: bytes, num_axes: int) -> Tensor:
    """The array in an IDX file of bytes: uint8, one axis for each size in its header.

    Raises:
        ValueError: if the header is another, or the file shorter or longer than it says.
    """
    start = 4 + 4 * num_axes
    if content[:4] != bytes([0, 0, _UNSIGNED_BYTES, num_axes]) or len(content) < start:
        raise ValueError(f"expected an IDX file of bytes with {num_axes} axes")
    shape = [int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4)]
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start)
    if values.numel() != torch.Size(shape).numel():
        raise ValueError(f"expected {shape} values, got {values.numel()}")
    return values.reshape(shape)
