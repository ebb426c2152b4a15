from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.stream import (
    MEAN_RGB,
    SD_RGB,
    StreamedImages,
    central_box,
    random_box,
)
from brainage.errors import DataError

REAL = Path(__file__).parents[4] / "shared/data/imagenet_sample/val"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Seven images of several sizes; the red channel is brighter to the right."""
    found = []
    for number in range(7):
        height, width = 20 + number, 40 - number
        pixels = np.full((height, width, 3), 30 * number, np.uint8)
        pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
        found.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(found[-1])
    return found


def stream(paths: list[Path], **changes: object) -> StreamedImages:
    options = {"size": 16, "batch_size": 3, **changes}
    return StreamedImages(paths, list(range(len(paths))), **options)


def pixels(batch: torch.Tensor) -> torch.Tensor:
    return batch * SD_RGB[:, None, None] + MEAN_RGB[:, None, None]


def test_the_central_square_is_delivered_for_validation(paths: list[Path]) -> None:
    batch = next(stream(paths).batches(0))
    assert batch.inputs.shape == (3, 3, 16, 16)
    blue = pixels(batch.inputs)[:, 2].mean((1, 2))
    assert torch.allclose(blue, torch.tensor([0.0, 30.0, 60.0]) / 255, atol=1e-3)
    red = pixels(batch.inputs)[0, 0].mean(0)
    expected = (torch.arange(16) + 0.5) / 16 * 17.5 / 40 + (40 - 17.5) / 2 / 40
    assert torch.allclose(red, expected, atol=0.02)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_threads_delivers_the_same(paths: list[Path], workers: int) -> None:
    settings = {"shuffle": True, "augmentation": ImageAugmentationConfig(flip=True), "seed": 4}
    one = list(stream(paths, **settings).batches(2))
    others = list(stream(paths, num_loader_workers=workers, **settings).batches(2))
    assert [batch.targets.tolist() for batch in one] == [b.targets.tolist() for b in others]
    for first, second in zip(one, others, strict=True):
        assert torch.equal(first.inputs, second.inputs)


def test_crops_differ_from_epoch_to_epoch(paths: list[Path]) -> None:
    source = stream(paths, augmentation=ImageAugmentationConfig())
    first, second = (next(source.batches(epoch)).inputs for epoch in range(2))
    assert not torch.equal(first, second)


def test_half_of_the_images_are_mirrored(paths: list[Path]) -> None:
    settings = ImageAugmentationConfig(flip=True, smallest_area=1.0)
    source = stream(paths, augmentation=settings)
    mirrored = [
        bool(image[0, :, 0].mean() > image[0, :, -1].mean())
        for epoch in range(20)
        for batch in source.batches(epoch)
        for image in batch.inputs
    ]
    assert 0.35 < np.mean(mirrored) < 0.65


def test_a_random_box_has_the_area_and_ratio_asked_for() -> None:
    generator = np.random.default_rng(0)
    boxes = np.array([random_box((400, 300), 0.08, generator) for _ in range(2000)])
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 400
    assert boxes[:, 3].max() <= 300
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(1) / (400 * 300)
    assert 0.08 <= areas.min() < 0.1
    assert areas.max() > 0.9
    ratios = sides[:, 0] / sides[:, 1]
    assert (ratios.min() >= 0.749, ratios.max() <= 1.334) == (True, True)


def test_the_central_box_is_a_square_in_the_middle() -> None:
    assert central_box((400, 256)) == (88.0, 16.0, 312.0, 240.0)


def test_an_image_that_cannot_be_read_is_named(paths: list[Path]) -> None:
    paths[4].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"4.png: not a readable image"):
        list(stream(paths).batches(0))


def test_an_epoch_can_be_left_early(paths: list[Path]) -> None:
    assert len(next(stream(paths, num_loader_workers=2).batches(0, first=2)).targets) == 1


@pytest.mark.skipif(not REAL.is_dir(), reason="the sample is not here")
def test_the_sample_streams() -> None:
    found = sorted(REAL.rglob("*.JPEG"))
    settings = ImageAugmentationConfig(flip=True)
    source = StreamedImages(
        found, [0] * 20, size=224, batch_size=8, num_loader_workers=2, augmentation=settings
    )
    shapes = [tuple(batch.inputs.shape) for batch in source.batches(0)]
    assert shapes == [(8, 3, 224, 224)] * 2 + [(4, 3, 224, 224)]
