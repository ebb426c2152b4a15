from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from brainage.data.images import imagenet
from brainage.data.images.imagenet import read_imagenet
from brainage.errors import DataError

REAL = Path(__file__).parents[4] / "shared/data/imagenet_sample"


def write_devkit(folder: Path, wnids: list[str], truth: list[int]) -> None:
    """``wnids`` in the order of the kit's own numbers, which is not that of the labels."""
    kit = folder / imagenet.DEVKIT / "data"
    kit.mkdir(parents=True)
    synsets = np.array(
        [(number, name) for number, name in enumerate(wnids, start=1)],
        dtype=[("ILSVRC2012_ID", object), ("WNID", object)],
    )
    savemat(kit / "meta.mat", {"synsets": synsets})
    text = "\n".join(map(str, truth)) + "\n"
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(text)
    (folder / "val").mkdir()
    for number in range(1, len(truth) + 1):
        (folder / f"val/ILSVRC2012_val_{number:08d}.JPEG").touch()


def test_labels_are_places_in_the_sorted_class_folders(tmp_path: Path) -> None:
    for name in ("n00000009", "n00000002", "notes"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "b.JPEG").touch()
        (tmp_path / "train" / name / "a.jpeg").touch()
        (tmp_path / "train" / name / "readme.txt").touch()
    found = read_imagenet(tmp_path, "train")
    assert found.class_names == ("n00000002", "n00000009")
    assert [path.name for path in found.paths] == ["a.jpeg", "b.JPEG"] * 2
    assert found.labels == (0, 0, 1, 1)
    assert found.note == "a sample: 4 images of 2 classes"


def test_flat_validation_files_get_their_labels_from_the_kit(tmp_path: Path) -> None:
    write_devkit(tmp_path, ["n00000030", "n00000010", "n00000020"], truth=[1, 2, 3, 2])
    found = read_imagenet(tmp_path, "val")
    assert found.class_names == ("n00000010", "n00000020", "n00000030")
    assert found.labels == (2, 0, 1, 0)
    assert found.paths[3].name == "ILSVRC2012_val_00000004.JPEG"


def test_a_missing_file_of_the_validation_part_is_named(tmp_path: Path) -> None:
    write_devkit(tmp_path, ["n00000030"], truth=[1, 1])
    (tmp_path / "val/ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(DataError, match=r"ILSVRC2012_val_00000002.JPEG: is missing, one of 1 of 2"):
        read_imagenet(tmp_path, "val")


def test_a_class_of_the_truth_that_the_kit_does_not_have_is_refused(tmp_path: Path) -> None:
    write_devkit(tmp_path, ["n00000030"], truth=[2])
    with pytest.raises(DataError, match=r"names the class 2, which meta.mat does not"):
        read_imagenet(tmp_path, "val")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder; put ILSVRC2012"):
        read_imagenet(tmp_path, "train")
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="expected folders named after WordNet numbers"):
        read_imagenet(tmp_path, "val")


@pytest.mark.skipif(not REAL.is_dir(), reason="the sample is not here")
def test_the_sample_has_twenty_classes() -> None:
    found = read_imagenet(REAL, "val")
    assert (len(found), len(found.class_names), found.original) == (20, 20, False)
