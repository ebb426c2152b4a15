import hashlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from brainage.data.images import cifar10
from brainage.data.images.cifar10 import read_cifar10
from brainage.errors import DataError

REAL = Path(__file__).parents[4] / "shared/data/cifar10"
PER_CLASS = 2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CIFAR-10 of five training batches and a test batch of two images a class."""
    monkeypatch.setattr(cifar10, "_BATCH", 10 * PER_CLASS)
    monkeypatch.setattr(cifar10, "NUM_TRAIN", 50 * PER_CLASS)
    monkeypatch.setattr(cifar10, "NUM_TEST", 10 * PER_CLASS)


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (20, 3072) and labels of one batch; images differ between batches."""
    images = np.random.default_rng(number).integers(0, 256, (10 * PER_CLASS, 3072), np.uint8)
    return images, np.tile(np.arange(10), PER_CLASS)


def write_binary(folder: Path) -> None:
    folder.mkdir()
    for number, name in enumerate(cifar10._BINARY):
        images, labels = batch(number)
        rows = np.concatenate([labels[:, None].astype(np.uint8), images], axis=1)
        (folder / name).write_bytes(rows.tobytes())


def write_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    for number, name in enumerate(cifar10._PYTHON_MD5):
        images, labels = batch(number)
        content = pickle.dumps({b"data": images, b"labels": labels.tolist()}, protocol=2)
        (folder / name).write_bytes(content)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(cifar10._PYTHON_MD5, name, digest)


def encoded(image: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def write_parquet(folder: Path, kind: str) -> None:
    folder.mkdir()
    for part, numbers in (("train", range(5)), ("test", [5])):
        images = np.concatenate([batch(k)[0] for k in numbers]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch(k)[1] for k in numbers])
        rows = [{"bytes": encoded(i.transpose(1, 2, 0), kind), "path": ""} for i in images]
        table = pa.table({"img": rows, "label": labels})
        pq.write_table(table, folder / f"{part}-0.parquet")


def test_binary_and_python_batches_and_lossless_parquet_are_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_binary(tmp_path / "a")
    write_python(tmp_path / "b", monkeypatch)
    write_parquet(tmp_path / "c", "PNG")
    first, *others = (read_cifar10(tmp_path / name) for name in "abc")
    expected = torch.from_numpy(batch(5)[0].reshape(-1, 3, 32, 32))
    assert torch.equal(first.test.images_NCHW, expected)
    assert first.original
    assert "no hash of binary batches is known" in first.note
    for other in others:
        assert other.original
        assert torch.equal(other.train.images_NCHW, first.train.images_NCHW)
        assert torch.equal(other.test.labels_N, first.test.labels_N)


def test_the_unpacked_archive_may_lie_in_its_own_folder(tmp_path: Path) -> None:
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert len(read_cifar10(tmp_path).train) == 50 * PER_CLASS


def test_lossy_copies_are_called_so(tmp_path: Path) -> None:
    write_parquet(tmp_path / "c", "JPEG")
    found = read_cifar10(tmp_path / "c")
    assert not found.original
    assert "JPEG copies" in found.note


def test_other_python_batches_are_not_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_python(tmp_path / "b", monkeypatch)

    class Hostile:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "was here"),)

    (tmp_path / "b/data_batch_1").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match="not the original file"):
        read_cifar10(tmp_path / "b")
    with pytest.raises(pickle.UnpicklingError, match="no place in CIFAR-10"):
        cifar10._Plain(io.BytesIO(pickle.dumps(Hostile()))).load()
    assert not (tmp_path / "was here").exists()


def test_what_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no CIFAR-10 is there; unpack cifar-10-binary.tar.gz"):
        read_cifar10(tmp_path)
    write_binary(tmp_path / "a")
    (tmp_path / "a/test_batch.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"test_batch.bin: expected 61460 bytes of CIFAR-10, got 5"):
        read_cifar10(tmp_path / "a")
    (tmp_path / "a/test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch.bin: is missing"):
        read_cifar10(tmp_path / "a")


def test_other_counts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "c", "PNG")
    monkeypatch.setattr(cifar10, "NUM_TRAIN", 60 * PER_CLASS)
    with pytest.raises(DataError, match="expected 120 images of CIFAR-10, 12 of each of 10"):
        read_cifar10(tmp_path / "c")


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "c", "PNG")
    rows = [{"bytes": b"no image", "path": ""}] * 20
    table = pa.table({"img": rows, "label": batch(0)[1]})
    pq.write_table(table, tmp_path / "c/test-0.parquet")
    with pytest.raises(DataError, match=r"test-0.parquet: row 0: not a readable image"):
        read_cifar10(tmp_path / "c")


def test_one_lossy_image_among_lossless_ones_makes_copies(tmp_path: Path) -> None:
    write_parquet(tmp_path / "c", "PNG")
    path = tmp_path / "c/test-0.parquet"
    table = pq.read_table(path)
    rows = table["img"].to_pylist()
    rows[-1] = {"bytes": encoded(np.zeros((32, 32, 3), np.uint8), "JPEG"), "path": ""}
    pq.write_table(pa.table({"img": rows, "label": table["label"]}), path)
    assert not read_cifar10(tmp_path / "c").original


def test_a_part_without_labels_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "c", "PNG")
    path = tmp_path / "c/test-0.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.table({"img": table["img"], "label": [-1] * len(table)}), path)
    with pytest.raises(DataError, match=r"test-0.parquet: row 0 has the label -1"):
        read_cifar10(tmp_path / "c")


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the copies are not here")
def test_the_copies_are_whole_and_called_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "NUM_TRAIN", 50_000)
    monkeypatch.setattr(cifar10, "NUM_TEST", 10_000)
    found = read_cifar10(REAL)
    assert found.train.images_NCHW.shape == (50_000, 3, 32, 32)
    assert not found.original
