"""Images that tests make up in place of MNIST: dark and bright ones."""

from pathlib import Path

import pytest
import torch

from brainage.data.images import registry
from brainage.data.images.image_set import ImagePart, ImageSet


def planted_part(count: int) -> ImagePart:
    """Dark and bright images, told apart by their mean."""
    labels = torch.arange(count) % 2
    generator = torch.Generator().manual_seed(count)
    noise = torch.randint(0, 60, (count, 1, 4, 4), generator=generator)
    return ImagePart((noise + 150 * labels[:, None, None, None]).to(torch.uint8), labels)


def plant_images(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Forty training and twenty test images in place of MNIST, and a folder to work in."""
    monkeypatch.chdir(folder)
    found = ImageSet("mnist", ("dark", "bright"), planted_part(40), planted_part(20), True, "all")
    monkeypatch.setitem(registry.READERS, "mnist", lambda folder: found)
