"""Reading and checking files of public data sets."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from brainage.errors import DataError

Pixels = npt.NDArray[np.uint8]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def decode_rgb(content: bytes, name: str) -> Pixels:
    """The pixels (H, W, 3) of a JPEG or PNG file; grey images get three equal channels.

    Raises:
        DataError: if it is no whole image; ``name`` says which.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{name}: not a readable image: {error}") from error


def read_image(path: Path) -> Pixels:
    """The pixels (H, W, 3) of an image file.

    Raises:
        DataError: if it is no whole image, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return decode_rgb(content, str(path))


def as_channels_first(images: Iterable[Pixels], size: int, name: str) -> Pixels:
    """Images (H, W, 3) of one size as an array (N, 3, H, W).

    Args:
        images: one after the other; none is kept in its own array.
        size: H and W that every image has to have.
        name: of the source, for the error.

    Raises:
        DataError: if an image has another size.
    """
    rows = []
    for number, image in enumerate(images):
        if image.shape != (size, size, 3):
            height, width = image.shape[:2]
            raise DataError(
                f"{name}: expected images of {size} x {size} pixels, image {number} has "
                f"{width} x {height}"
            )
        rows.append(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return np.stack(rows) if rows else np.empty((0, 3, size, size), np.uint8)
