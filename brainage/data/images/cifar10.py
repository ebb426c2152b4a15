"""CIFAR-10: the original batches (binary or Python), or Parquet files of its images.

The Python batches are pickles. They are opened only if they are the originals, byte for byte, and
then nothing in them but arrays and text is loaded.
"""

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainage.data.images.files import Pixels, as_channels_first, sha256_of
from brainage.data.images.image_set import ImagePart, ImageSet
from brainage.data.images.parquet import ParquetImages
from brainage.errors import DataError

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIZE = 32
NUM_TRAIN, NUM_TEST = 50_000, 10_000
_BATCH = 10_000
_IMAGE_BYTES = 3 * SIZE * SIZE

# MD5 as published with the archive; here it names a file, and the loader below trusts none.
_PYTHON_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_BINARY = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")

# Copies that are known not to hold the original pixels.
_COPIES = {
    "1330f8af1676a93105dbcb7189b642e43c06337ee16a3a57cacf4d60e3c7a9c1",
    "8e6dd2010429d4e7997e4c2e3024b85088708e4af930a33d89813bdaa29479e6",
}
ORIGINAL = "the original images"
UNHASHED = (
    "the original images by sizes and numbers of each class; no hash of binary batches is known"
)
JPEG_COPIES = "JPEG copies of the images (lossy): figures are not of the original CIFAR-10"


def read_cifar10(folder: Path) -> ImageSet:
    """The data set, from whichever form the folder has it in.

    Args:
        folder: holds ``cifar-10-batches-bin``, ``cifar-10-batches-py``, the files of one of them,
            or Parquet files named ``train*.parquet`` and ``test*.parquet``.

    Raises:
        DataError: if files are missing, damaged or not those of CIFAR-10.
    """
    readers: tuple[tuple[str, str, Callable[[Path], ImageSet]], ...] = (
        ("cifar-10-batches-bin", _BINARY[0], _read_binary),
        ("cifar-10-batches-py", "data_batch_1", _read_python),
    )
    for name, first, read in readers:
        for place in (folder / name, folder):
            if (place / first).is_file():
                return read(place)
    if sorted(folder.glob("train*.parquet")):
        return _read_parquet(folder)
    raise DataError(
        f"{folder}: no CIFAR-10 is there; unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz "
        "of www.cs.toronto.edu/~kriz/cifar.html there, or name the folder that holds it with "
        "data.root"
    )


def _read_binary(folder: Path) -> ImageSet:
    """Records of a label and 3,072 pixel bytes, channel after channel."""
    parts = []
    for name in _BINARY:
        content = _bytes_of(folder / name)
        expected = _BATCH * (1 + _IMAGE_BYTES)
        if len(content) != expected:
            raise DataError(
                f"{folder / name}: expected {expected} bytes of CIFAR-10, got {len(content)}"
            )
        records = np.frombuffer(content, dtype=np.uint8).reshape(_BATCH, 1 + _IMAGE_BYTES)
        parts.append((records[:, 1:], records[:, 0].astype(np.int64)))
    return _from_batches(parts, folder, UNHASHED)


def _read_python(folder: Path) -> ImageSet:
    parts = []
    for name, expected in _PYTHON_MD5.items():
        content = _bytes_of(folder / name)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != expected:
            raise DataError(
                f"{folder / name}: is not the original file of CIFAR-10 (its MD5 differs); fetch "
                "it again"
            )
        batch = _Plain(io.BytesIO(content), encoding="bytes").load()
        parts.append((batch[b"data"], np.asarray(batch[b"labels"], dtype=np.int64)))
    return _from_batches(parts, folder, ORIGINAL)


class _Plain(pickle.Unpickler):
    """Loads numpy arrays and plain values, nothing else."""

    _ALLOWED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("._core", ".core"), name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in CIFAR-10")
        return super().find_class(module.replace(".core", "._core"), name)  # its name in numpy 2


def _from_batches(
    batches: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], folder: Path, note: str
) -> ImageSet:
    """Five training batches and the test batch."""
    images = [values.reshape(-1, 3, SIZE, SIZE) for values, _ in batches]
    labels = [values for _, values in batches]
    train = _part(np.concatenate(images[:-1]), np.concatenate(labels[:-1]), folder, NUM_TRAIN)
    test = _part(images[-1], labels[-1], folder, NUM_TEST)
    return ImageSet("cifar10", CLASSES, train, test, original=True, note=note)


def _read_parquet(folder: Path) -> ImageSet:
    parts, lossless = [], True
    for name, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        paths = sorted(folder.glob(f"{name}*.parquet"))
        if not paths:
            raise DataError(f"{folder}: {name}*.parquet is missing")
        images, labels = [], []
        for path in paths:
            rows = ParquetImages(path, "img")
            lossless &= rows.is_lossless and sha256_of(path) not in _COPIES
            images.append(as_channels_first(rows.pixels(), SIZE, str(path)))
            labels.append(rows.labels)
        parts.append(_part(np.concatenate(images), np.concatenate(labels), folder, count))
    note = ORIGINAL if lossless else JPEG_COPIES
    return ImageSet("cifar10", CLASSES, parts[0], parts[1], original=lossless, note=note)


def _part(images: Pixels, labels: np.ndarray[Any, Any], folder: Path, count: int) -> ImagePart:
    """Checked: so many images, equally many of each class."""
    per_class = np.bincount(labels, minlength=len(CLASSES))
    if len(labels) != count or per_class.tolist() != [count // len(CLASSES)] * len(CLASSES):
        raise DataError(
            f"{folder}: expected {count} images of CIFAR-10, {count // len(CLASSES)} of each of "
            f"{len(CLASSES)} classes, got {len(labels)}, of each class {per_class.tolist()}"
        )
    return ImagePart(torch.from_numpy(images.copy()), torch.from_numpy(labels))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; unpack the archive of CIFAR-10 again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
