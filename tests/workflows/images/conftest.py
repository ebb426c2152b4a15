from pathlib import Path
from typing import Any

import pytest
import torch

from brainage.config.images import ImagesConfig, images_config_from
from brainage.data.images import registry
from brainage.data.images.image_set import ImagePart, ImageSet

CONTENT: dict[str, Any] = {
    "name": "small",
    "data": {"name": "mnist", "validation_images": 8},
    "recipe": {
        "backbone": {"name": "mlp", "hidden_sizes": [8], "output_stage": True},
        "blocks": {"num_blocks": 2},
        "heads": {"num_lf_workers": 2, "output_block_workers": False},
        "trainer": {"epochs": 2, "batch_size": 8, "device": "cpu", "checkpoint_every": 9},
    },
    "methods": {"bp": {"objective": {"name": "bp"}}, "lfnn_l 50%": {"objective": {
        "name": "lfnn_l", "leader_fraction": 0.5}}},
    "seeds": [0],
    "tracking": {"mlflow": False},
}  # fmt: skip


def planted_part(count: int) -> ImagePart:
    """Dark and bright images, told apart by their mean."""
    labels = torch.arange(count) % 2
    generator = torch.Generator().manual_seed(count)
    noise = torch.randint(0, 60, (count, 1, 4, 4), generator=generator)
    return ImagePart((noise + 150 * labels[:, None, None, None]).to(torch.uint8), labels)


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forty training and twenty test images in place of MNIST, and a folder to work in."""
    monkeypatch.chdir(tmp_path)
    found = ImageSet("mnist", ("dark", "bright"), planted_part(40), planted_part(20), True, "all")
    monkeypatch.setitem(registry.READERS, "mnist", lambda folder: found)


def panel_config(**changes: Any) -> ImagesConfig:
    return images_config_from({**CONTENT, **changes})
