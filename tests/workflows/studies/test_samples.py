from collections import Counter

import numpy as np
import torch
from PIL import Image

from brainage.data.images.config import ImageDataConfig
from brainage.workflows.studies.samples import grey_sample


def test_images_are_spread_evenly_over_the_classes_and_the_same_every_time():
    sample = grey_sample(ImageDataConfig(name="mnist"), count=10)
    assert Counter(sample.labels) == {0: 5, 1: 5}
    again = grey_sample(ImageDataConfig(name="mnist"), count=10)
    assert all(torch.equal(*both) for both in zip(sample.pictures, again.pictures, strict=True))
    assert sample.note == "all"


def test_so_many_of_each_class_or_all_there_are():
    data = ImageDataConfig(name="mnist")
    assert Counter(grey_sample(data, per_class=3).labels) == {0: 3, 1: 3}
    assert Counter(grey_sample(data, per_class=99).labels) == {0: 20, 1: 20}
    assert len(grey_sample(data, count=999).pictures) == 40


def test_labels_stay_with_their_pictures():
    sample = grey_sample(ImageDataConfig(name="mnist"), count=20)
    bright = [bool(picture.mean() > 0.4) for picture in sample.pictures]
    assert bright == [label == 1 for label in sample.labels]


def test_files_are_grey_and_keep_their_size(tmp_path):
    for number, name in enumerate(("n00000001", "n00000002")):
        folder = tmp_path / "set/val" / name
        folder.mkdir(parents=True)
        pixels = np.zeros((6, 9 + number, 3), np.uint8)
        pixels[..., 0] = 255
        Image.fromarray(pixels).save(folder / "a.png")
    sample = grey_sample(ImageDataConfig(name="imagenet", root=str(tmp_path / "set")), count=2)
    assert [tuple(picture.shape) for picture in sample.pictures] == [(6, 9), (6, 10)]
    assert torch.allclose(sample.pictures[0], torch.tensor(1 / 3))
    assert sample.class_names == ("n00000001", "n00000002")
