from pathlib import Path

import pytest
import torch

from brainage.config.studies import WorkerStudyConfig, study_from
from brainage.core.engine import SingleDeviceEngine
from brainage.core.types import BatchSource
from brainage.data.images import registry
from brainage.data.images.image_set import ImagePart, ImageSet
from brainage.data.images.registry import Images, open_images
from brainage.workflows.images.fit import build_image_engine

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
