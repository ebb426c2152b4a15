from pathlib import Path
from typing import Any

import pytest

from brainage.config.images import ImagesConfig, images_config_from
from tests.workflows.planted import plant_images

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


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forty training and twenty test images in place of MNIST, and a folder to work in."""
    plant_images(monkeypatch, tmp_path)


def panel_config(**changes: Any) -> ImagesConfig:
    return images_config_from({**CONTENT, **changes})
