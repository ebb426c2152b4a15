import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from brainage.data.images.batches import ImageBatches
from brainage.data.images.config import ImageAugmentationConfig
from brainage.data.images.image_set import ImagePart
from brainage.data.images.variation import displaced, elastic_shifts

ZERO, ONE = torch.zeros(3), torch.ones(3)
DISTORTION = ImageAugmentationConfig(elastic_strength=20.0, elastic_smoothness=3.0)


def part(count: int = 7, size: int = 12) -> ImagePart:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return ImagePart(images, torch.arange(count))


def pixels(batches: ImageBatches, epoch: int = 0) -> dict[int, torch.Tensor]:
    """The images of an epoch on the scale of the set, by label, which is the index."""
    return {
        int(label): 255 * image
        for batch in batches.batches(epoch)
        for image, label in zip(batch.inputs, batch.targets, strict=True)
    }


def batches(**changes: object) -> ImageBatches:
    options = {"batch_size": 3, "training": True, "augmentation": DISTORTION, **changes}
    return ImageBatches(part(), ZERO, ONE, **options)


def test_training_images_are_cropped_everywhere_and_others_around_their_centre() -> None:
    smaller = ImageAugmentationConfig(crop_size=8)
    images, found = part().images_NCHW.float(), set()
    for epoch in range(30):
        for label, image in pixels(batches(augmentation=smaller), epoch).items():
            places = [
                (down, right)
                for down in range(5)
                for right in range(5)
                if torch.allclose(image, images[label, :, down : down + 8, right : right + 8])
            ]
            assert len(places) == 1
            found.update(places)
    assert len(found) == 25
    tested = pixels(batches(augmentation=smaller, training=False))
    assert all(torch.allclose(tested[k], images[k, :, 2:10, 2:10]) for k in range(7))


def test_a_crop_may_be_taken_of_a_padded_image() -> None:
    padded = ImageAugmentationConfig(crop_size=10, crop_padding=2)
    shapes = {tuple(image.shape) for image in pixels(batches(augmentation=padded)).values()}
    assert shapes == {(3, 10, 10)}


def test_distortions_are_those_of_the_index_whatever_the_batch_size() -> None:
    first, second = pixels(batches()), pixels(batches(batch_size=2))
    assert all(torch.equal(first[k], second[k]) for k in range(7))
    other = pixels(batches(), epoch=1)
    assert not any(torch.allclose(first[k], other[k], atol=1.0) for k in range(7))
    plain = pixels(batches(training=False))
    assert all(torch.allclose(plain[k], part().images_NCHW[k].float()) for k in range(7))


def test_a_distortion_is_smoothed_noise_along_which_pixels_are_read() -> None:
    """Against SciPy: the smoothing, and what is read between pixels."""
    shifts = elastic_shifts([5], (12, 12), DISTORTION)[0].numpy()
    noise = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(5)).numpy()
    expected = [
        20 * gaussian_filter(2 * plane - 1, 3.0, mode="constant", radius=9) for plane in noise
    ]
    np.testing.assert_allclose(shifts, expected, atol=1e-5)
    image = part(1).images_NCHW.float()
    found = displaced(image, torch.from_numpy(shifts)[None])[0, 0].numpy()
    rows, columns = np.mgrid[:12, :12] + shifts[::-1]
    read = map_coordinates(image[0, 0].numpy(), [rows, columns], order=1, mode="grid-constant")
    np.testing.assert_allclose(found, read, atol=1e-2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("crop_size", 7), ("elastic_strength", -1.0), ("elastic_smoothness", 0.0)],
)
def test_settings_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ImageAugmentationConfig(**{field: value})
