import shutil
from pathlib import Path

import pytest
import torch

from brainage.data.images import imagenet, registry
from brainage.data.images.config import ImageAugmentationConfig, ImageDataConfig
from brainage.data.images.image_set import ImagePart, ImageSet
from brainage.data.images.registry import image_folder, open_images
from brainage.errors import DataError

CPU = torch.device("cpu")
PLAIN = ImageAugmentationConfig()
NUM_TRAIN, NUM_TEST, NUM_CLASSES = 60, 20, 4


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set whose images are told apart by their first pixel."""

    def part(count: int) -> ImagePart:
        images = torch.zeros(count, 1, 4, 4, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(count)
        return ImagePart(images, torch.arange(count) % NUM_CLASSES)

    found = ImageSet("mnist", tuple("abcd"), part(NUM_TRAIN), part(NUM_TEST), True, "whole")
    monkeypatch.setitem(registry.READERS, "mnist", lambda folder: found)


def opened(**changes: int):
    return open_images(ImageDataConfig(**{"validation_images": 12, **changes}), PLAIN, CPU)


def numbers(images, part: str) -> list[int]:
    return images.parts[part].images_NCHW[:, 0, 0, 0].tolist()


def test_parts_share_no_image_and_validation_has_every_class_alike() -> None:
    images = opened()
    train, validation = numbers(images, "train"), numbers(images, "validation")
    assert images.sizes == {"train": 48, "validation": 12, "test": 20}
    assert sorted(train + validation) == list(range(NUM_TRAIN))
    assert torch.bincount(images.parts["validation"].labels_N).tolist() == [3] * NUM_CLASSES
    assert images.original


def test_the_split_is_the_same_every_time() -> None:
    assert numbers(opened(), "validation") == numbers(opened(), "validation")


def test_fewer_images_are_a_reduced_set() -> None:
    images = opened(train_images=32, test_images=8)
    assert images.sizes == {"train": 20, "validation": 12, "test": 8}
    assert torch.bincount(images.parts["test"].labels_N).tolist() == [2] * NUM_CLASSES
    assert not images.original
    assert not opened(test_images=16).original


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": 100}, "data.train_images: 100 are asked for, class 0 has 15"),
        ({"test_images": 3}, "data.test_images: expected at least 4, one of each class, got 3"),
        ({"validation_images": 60}, "data.validation_images: expected fewer than the 60"),
        ({"validation_images": 61}, "data.validation_images: 61 are asked for"),
    ],
)
def test_more_images_than_there_are_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(**changes)


def test_only_training_images_are_shuffled_and_varied() -> None:
    images = opened()
    train = images.batches("train", batch_size=48, seed=0, training=True)
    test = images.batches("test", batch_size=20, seed=0, training=False)
    assert next(train.batches(0)).targets.tolist() != images.parts["train"].labels_N.tolist()
    assert next(test.batches(0)).targets.tolist() == images.parts["test"].labels_N.tolist()


def test_the_folder_is_found_in_its_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAINAGE_DATA", str(tmp_path))
    subset = tmp_path / "tiny_imagenet_subset"
    subset.mkdir()
    assert image_folder(ImageDataConfig(name="tiny_imagenet")) == subset
    assert image_folder(ImageDataConfig(name="cifar10")) == tmp_path / "cifar10"
    named = ImageDataConfig(name="cifar10", root="$BRAINAGE_DATA/other")
    assert image_folder(named) == tmp_path / "other"
    assert image_folder(ImageDataConfig(root="elsewhere")) == Path("elsewhere")
    assert image_folder(ImageDataConfig(root=".")) == Path()


def write_imagenet(folder: Path, part: str, count: int) -> None:
    for name in ("n00000001", "n00000002"):
        (folder / part / name).mkdir(parents=True)
        for number in range(count):
            (folder / part / name / f"{number}.JPEG").touch()


def test_imagenet_validates_on_training_images_and_tests_on_its_validation_part(
    tmp_path: Path,
) -> None:
    write_imagenet(tmp_path, "train", 6)
    write_imagenet(tmp_path, "val", 3)
    config = ImageDataConfig(name="imagenet", root=str(tmp_path), validation_images=4)
    images = open_images(config, PLAIN, CPU)
    assert images.sizes == {"train": 8, "validation": 4, "test": 6}
    assert (images.num_classes, images.input_shape) == (2, (3, 224, 224))
    paths = {part: set(images._parts[part][0]) for part in images.sizes}
    assert not paths["train"] & paths["validation"]
    assert all("val" in path.parts for path in paths["test"])


def test_imagenet_with_fewer_training_images_is_not_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_imagenet(tmp_path, "train", 6)
    write_imagenet(tmp_path, "val", 3)
    for name, number in (("NUM_CLASSES", 2), ("NUM_TRAIN", 12), ("NUM_VALIDATION", 6)):
        monkeypatch.setattr(imagenet, name, number)

    def is_original(**changes) -> bool:
        config = ImageDataConfig(
            name="imagenet", root=str(tmp_path), validation_images=4, **changes
        )
        return open_images(config, PLAIN, CPU).original

    assert is_original()
    assert not is_original(train_images=10)
    assert not is_original(test_images=4)
    shutil.rmtree(tmp_path / "train")
    assert not is_original()  # tested on what it was trained on


def test_the_note_tells_of_the_part_that_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_imagenet(tmp_path, "train", 6)
    write_imagenet(tmp_path, "val", 3)
    for name, number in (("NUM_CLASSES", 2), ("NUM_VALIDATION", 6)):
        monkeypatch.setattr(imagenet, name, number)
    config = ImageDataConfig(name="imagenet", root=str(tmp_path), validation_images=4)
    assert open_images(config, PLAIN, CPU).note == "a sample: 12 images of 2 classes"


def test_shared_memory_that_is_too_small_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: torch.Tensor) -> None:
        raise RuntimeError("unable to write to file: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(DataError, match=r"/dev/shm.*--shm-size"):
        opened()


def test_a_sample_of_imagenet_says_that_all_parts_are_the_same(tmp_path: Path) -> None:
    write_imagenet(tmp_path, "val", 3)
    config = ImageDataConfig(name="imagenet", root=str(tmp_path), validation_images=4)
    images = open_images(config, PLAIN, CPU)
    assert images.sizes == {"train": 6, "validation": 6, "test": 6}
    assert images.note.endswith("the same ones in training, validation and test")


def test_a_crop_changes_what_the_network_sees_and_cannot_be_larger_than_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    smaller = ImageAugmentationConfig(crop_size=8)
    with pytest.raises(DataError, match=r"crop_size: expected at most 4, .* of mnist, got 8"):
        open_images(ImageDataConfig(validation_images=12), smaller, CPU)
    part = ImagePart(torch.zeros(40, 1, 12, 12, dtype=torch.uint8), torch.arange(40) % 4)
    found = ImageSet("mnist", tuple("abcd"), part, part, True, "whole")
    monkeypatch.setitem(registry.READERS, "mnist", lambda folder: found)
    images = open_images(ImageDataConfig(validation_images=12), smaller, CPU)
    assert images.input_shape == (1, 8, 8)
    for name in images.sizes:
        batch = next(
            images.batches(name, batch_size=5, seed=0, training=name == "train").batches(0)
        )
        assert batch.inputs.shape == (5, 1, 8, 8)
