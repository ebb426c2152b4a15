import json
import shutil
from pathlib import Path

import pytest
import torch

from brainage.bundle.model import Member, ModelBundle
from brainage.bundle.network import build_network
from brainage.bundle.save import save_bundle
from brainage.config.run import RunConfig
from brainage.core.random import random_stream
from brainage.core.tasks import fit_task
from tests.workflows.tiny import tiny_config

CALIBRATION = {"training_age_range_years": [20.0, 68.0], "training_scans": 6}


def make_member(config: RunConfig, name: str = "holdout", seed: int = 7) -> Member:
    """A network that has learned nothing, but whose blocks say different things."""
    task = fit_task(config.task, torch.tensor([20.0, 41.0, 61.0 + seed]))
    shape = (1, *config.preprocess.grid.shape_XYZ)
    chain, _ = build_network(config, task, shape, seed=3)
    with random_stream(seed), torch.no_grad():
        for parameter in chain.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return Member(name, task, chain.eval())


def make_bundle(folder: Path, config: RunConfig, **changes) -> ModelBundle:
    content = {
        "config": config, "members": [make_member(config)],
        "input_shape": (1, *config.preprocess.grid.shape_XYZ),
        "calibration": CALIBRATION, "card": "# Model card\n",
    }  # fmt: skip
    return save_bundle(folder, **{**content, **changes})


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> ModelBundle:
    """A bundle as ``save_bundle`` returned it. Tests must not change its folder."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model", tiny_config())


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    """A copy of the bundle's folder, to be damaged."""
    return Path(shutil.copytree(saved.folder, tmp_path / "model"))


@pytest.fixture
def volume():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 48, 40, generator=generator).numpy()


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
