import gzip
from pathlib import Path

import pytest
import torch

from brainage.data.mnist import parse_idx, read_mnist
from brainage.errors import DataError

REAL = Path(__file__).parents[3] / "shared/data/mnist"


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return bytes([0, 0, 8, len(shape)]) + sizes + values


def test_values_come_in_the_order_of_the_file() -> None:
    found = parse_idx(idx((2, 2, 3), bytes(range(12))), 3)
    assert torch.equal(found, torch.arange(12, dtype=torch.uint8).reshape(2, 2, 3))


@pytest.mark.parametrize(
    "content", [b"", idx((3,), b"ab"), idx((3,), b"abcd"), idx((1, 1), b"a"), b"\0\0\x0d\1\0\0\0\0"]
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_idx(content, 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is missing; put the four"):
        read_mnist(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "cannot be read"),
        (gzip.compress(idx((1, 28, 28), bytes(784))), "not the original file of MNIST"),
        (gzip.compress(bytes(2000))[:20], "cannot be read"),
    ],
    ids=["not packed", "another file", "cut off"],
)
def test_a_damaged_or_other_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_mnist(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the original files are not here")
def test_the_original_files_are_read() -> None:
    (images, labels), (test_images, test_labels) = read_mnist(REAL)
    assert images.shape == (60_000, 1, 28, 28)
    assert test_images.shape == (10_000, 1, 28, 28)
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(test_labels).tolist()[:3] == [980, 1135, 1032]
