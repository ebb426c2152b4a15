import gzip
from pathlib import Path

import pytest
import torch

from brainage.data.images.mnist import parse_idx, read_mnist
from brainage.errors import DataError

REAL = Path(__file__).parents[4] / "shared/data/mnist"


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
    digits = read_mnist(REAL)
    images, labels = digits.train.images_NCHW, digits.train.labels_N
    assert (digits.shape, digits.num_classes, digits.original) == ((1, 28, 28), 10, True)
    assert images.shape == (60_000, 1, 28, 28)
    assert digits.test.images_NCHW.shape == (10_000, 1, 28, 28)
    assert (int(images.min()), int(images.max())) == (0, 255)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(digits.test.labels_N).tolist()[:3] == [980, 1135, 1032]
