from pathlib import Path

import pytest
import torch

from brainage.config.studies import WorkerStudyConfig, study_from
from brainage.core.engine import SingleDeviceEngine
from brainage.core.types import BatchSource
from brainage.data.images.registry import Images, open_images
from brainage.workflows.images.fit import build_image_engine
from tests.workflows.planted import plant_images

CHANGES = {
    "data": {"name": "mnist", "validation_images": 8},
    "recipe": {
        "backbone": {"hidden_sizes": [8, 8]},
        "heads": {"num_lf_workers": 4},
        "objective": {"leader_fraction": 0.5},
        "trainer": {"epochs": 2, "batch_size": 8, "device": "cpu"},
    },
    "activity": {"first_steps": 3, "later_steps": 2, "leader_fraction": 0.5},
    "vicsek": {"num_particles": 6, "num_steps": 2},
    "random_draws": 2,
    "seeds": [0, 1],
}


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forty training and twenty test images in place of MNIST, and a folder to work in."""
    plant_images(monkeypatch, tmp_path)


@pytest.fixture
def config() -> WorkerStudyConfig:
    return study_from(WorkerStudyConfig, CHANGES)


@pytest.fixture
def images(config: WorkerStudyConfig) -> Images:
    return open_images(config.data, config.augmentation, torch.device("cpu"))


@pytest.fixture
def engine(config: WorkerStudyConfig, images: Images) -> SingleDeviceEngine:
    """Two hidden blocks of four workers of two units, not trained."""
    return build_image_engine(config.recipe, images, 0, torch.device("cpu"))


@pytest.fixture
def test_images(images: Images) -> BatchSource:
    return images.batches("test", batch_size=7, seed=0, training=False)
