import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from brainage.data.images.tiny_imagenet import NUM_CLASSES, read_tiny_imagenet
from brainage.errors import DataError

REAL = Path(__file__).parents[4] / "shared/data/tiny_imagenet_subset"
NAMES = [f"n{number:08d}" for number in range(NUM_CLASSES)]


def grey(level: int, size: int = 64) -> bytes:
    """A JPEG of one grey level, in one channel as some of the originals are."""
    stream = io.BytesIO()
    Image.fromarray(np.full((size, size), level, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def write_names(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(NAMES) + "\n")


def write_folders(folder: Path) -> None:
    """One image a class; the level is the label, in the test part one higher."""
    write_names(folder)
    (folder / "val/images").mkdir(parents=True)
    lines = []
    for label, name in enumerate(NAMES):
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        (images / f"{name}_0.JPEG").write_bytes(grey(label))
        (folder / f"val/images/val_{label}.JPEG").write_bytes(grey(label + 1))
        lines.append(f"val_{label}.JPEG\t{name}\t0\t0\t62\t62")
    (folder / "val/val_annotations.txt").write_text("\n".join(reversed(lines)) + "\n")


def write_parquet(folder: Path) -> None:
    write_names(folder)
    for part in ("train", "valid"):
        rows = [{"bytes": grey(label), "path": ""} for label in range(NUM_CLASSES)]
        table = pa.table({"image": rows, "label": list(range(NUM_CLASSES))})
        pq.write_table(table, folder / f"{part}-0.parquet")


def test_folders_give_each_image_the_label_of_its_class(tmp_path: Path) -> None:
    write_folders(tmp_path / "tiny-imagenet-200")
    found = read_tiny_imagenet(tmp_path)
    assert found.shape == (3, 64, 64)
    assert torch.equal(found.train.images_NCHW[:, 0, 0, 0].long(), found.train.labels_N)
    assert torch.equal(found.test.images_NCHW[:, 2, 5, 5].long(), found.test.labels_N + 1)
    assert found.note == "a subset: 1 training and 1 test images of each of 200 classes"


def test_parquet_gives_each_image_its_label(tmp_path: Path) -> None:
    write_parquet(tmp_path / "p")
    found = read_tiny_imagenet(tmp_path / "p")
    assert torch.equal(found.test.images_NCHW[:, 0, 0, 0].long(), found.test.labels_N)
    assert not found.original


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wnids.txt: is missing; unpack tiny-imagenet-200.zip"):
        read_tiny_imagenet(tmp_path)
    write_names(tmp_path / "empty")
    with pytest.raises(DataError, match="no Tiny-ImageNet is there"):
        read_tiny_imagenet(tmp_path / "empty")


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    write_folders(tmp_path / "t")
    (tmp_path / "t/train" / NAMES[3] / "images" / f"{NAMES[3]}_0.JPEG").unlink()
    with pytest.raises(DataError, match="expected equally many images of 200 classes, got 0 to 1"):
        read_tiny_imagenet(tmp_path / "t")


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    write_folders(tmp_path / "t")
    (tmp_path / "t/val/images/val_7.JPEG").write_bytes(grey(1, size=32))
    with pytest.raises(DataError, match="expected images of 64 x 64 pixels, image 192 has 32 x 32"):
        read_tiny_imagenet(tmp_path / "t")


def test_annotations_of_an_unknown_class_are_refused(tmp_path: Path) -> None:
    write_folders(tmp_path / "t")
    (tmp_path / "t/val/val_annotations.txt").write_text("val_0.JPEG\tn99999999\t0\t0\t1\t1\n")
    with pytest.raises(DataError, match=r"names a class that wnids\.txt does not: 'n99999999'"):
        read_tiny_imagenet(tmp_path / "t")


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the subset is not here")
def test_the_subset_is_called_a_subset() -> None:
    found = read_tiny_imagenet(REAL)
    assert (len(found.train), len(found.test)) == (20_000, 5_000)
    assert found.note == "a subset: 100 training and 25 test images of each of 200 classes"
