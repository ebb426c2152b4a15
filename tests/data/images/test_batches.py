import pytest
import torch

from brainage.data.images.batches import ImageBatches
from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.image_set import ImagePart, channel_statistics

ZERO, ONE = torch.zeros(3), torch.ones(3)


def part(count: int = 7, size: int = 5) -> ImagePart:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return ImagePart(images, torch.arange(count))


def collected(source: ImageBatches, epoch: int) -> dict[int, torch.Tensor]:
    """The inputs of an epoch by label, which is the image's index."""
    return {
        int(label): image
        for batch in source.batches(epoch)
        for image, label in zip(batch.inputs, batch.targets, strict=True)
    }


def varied(**changes: object) -> ImageBatches:
    settings = ImageAugmentationConfig(crop_padding=2, flip=True)
    options = {"batch_size": 3, "training": True, "augmentation": settings, **changes}
    return ImageBatches(part(), ZERO, ONE, **options)


def test_images_are_standardised_by_channel() -> None:
    images = part().images_NCHW
    mean, sd = channel_statistics(images)
    batch = next(ImageBatches(part(), mean, sd, batch_size=7).batches(0)).inputs
    assert torch.allclose(batch.mean((0, 2, 3)), ZERO, atol=1e-6)
    assert torch.allclose(batch.std((0, 2, 3), correction=0), ONE, atol=1e-5)
    assert torch.allclose(mean, images.float().mean((0, 2, 3)) / 255, atol=1e-6)


def test_an_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    orders = [[int(t) for b in varied().batches(epoch) for t in b.targets] for epoch in range(3)]
    assert [sorted(order) for order in orders] == [list(range(7))] * 3
    assert orders[0] != orders[1]
    assert varied().batch_sizes == [3, 3, 1]


def test_an_image_is_varied_alike_whatever_the_batch_size() -> None:
    first, second = collected(varied(), 2), collected(varied(batch_size=2), 2)
    assert all(torch.equal(first[label], second[label]) for label in range(7))


def test_epochs_vary_images_differently() -> None:
    first, second = collected(varied(), 0), collected(varied(), 1)
    assert not all(torch.equal(first[label], second[label]) for label in range(7))


def test_a_varied_image_is_a_crop_of_the_padded_image_or_its_mirror() -> None:
    images = part().images_NCHW
    found = {}
    for epoch in range(40):
        for label, image in collected(varied(), epoch).items():
            pixels = (image * 255).round().to(torch.uint8)
            matches = [
                (flipped, down, right)
                for flipped in (False, True)
                for down in range(5)
                for right in range(5)
                if torch.equal(pixels, crop(images[label], flipped, down, right))
            ]
            assert len(matches) == 1
            found.setdefault(matches[0], 0)
    assert {flipped for flipped, _, _ in found} == {False, True}
    assert {down for _, down, _ in found} == {right for _, _, right in found} == set(range(5))


def crop(image: torch.Tensor, flipped: bool, down: int, right: int) -> torch.Tensor:
    padded = torch.nn.functional.pad(image.flip(-1) if flipped else image, (2, 2, 2, 2))
    return padded[:, down : down + 5, right : right + 5]


def test_rows_that_are_not_asked_for_are_not_made() -> None:
    batches = list(varied().batches(1, rows=lambda size: range(size // 2)))
    assert [len(batch.inputs) for batch in batches] == [1, 1, 0]
    assert [len(batch.targets) for batch in batches] == [3, 3, 1]
    whole = collected(varied(), 1)
    first = batches[0]
    assert torch.equal(first.inputs[0], whole[int(first.targets[0])])


def test_an_epoch_can_be_entered_in_the_middle() -> None:
    whole, rest = list(varied().batches(4)), list(varied().batches(4, first=1))
    assert len(rest) == 2
    assert torch.equal(whole[1].inputs, rest[0].inputs)


@pytest.mark.parametrize(("field", "value"), [("crop_padding", -1), ("smallest_area", 0.0)])
def test_settings_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ImageAugmentationConfig(**{field: value})
