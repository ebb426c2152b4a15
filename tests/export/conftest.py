"""A model that has learned nothing, with two networks and three views, without its golden scan."""

import pytest
import torch

from brainage.bundle.files import CARD, PREPROCESSING
from brainage.bundle.load import preprocessing_contract
from brainage.bundle.model import ModelBundle
from brainage.config.yaml_text import to_yaml
from brainage.export.contract import contract_of, preprocessing_text
from brainage.export.graph import AgeGraph
from tests.bundle.conftest import CALIBRATION, make_member
from tests.workflows.tiny import tiny_config


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("model")
    config = tiny_config(inference={"test_time_augmentation": 3})
    contract = preprocessing_contract(config)
    (folder / PREPROCESSING).write_text(to_yaml(contract))
    (folder / CARD).write_text("# Model card\n")
    return ModelBundle(
        folder=folder,
        config=config,
        members=tuple(make_member(config, name, seed) for seed, name in enumerate("ab")),
        input_shape=(1, *config.preprocess.grid.shape_XYZ),
        calibration=CALIBRATION,
        model_hash="0123456789abcdef",
        preprocessing_hash=str(contract["preprocessing_hash"]),
    )


@pytest.fixture(scope="session")
def graph(model) -> AgeGraph:
    return AgeGraph(model)


@pytest.fixture(scope="session")
def belongings(model, graph):
    """The facts and the file of steps that travel along."""
    return contract_of(model, graph), preprocessing_text(model, "steps.yaml")


@pytest.fixture(scope="session")
def volumes():
    """Three brains (3, 1, X, Y, Z), 0 around them."""
    generator = torch.Generator().manual_seed(2)
    volumes = torch.zeros(3, 1, 40, 48, 40)
    volumes[:, :, 6:34, 8:42, 6:32] = torch.randn(3, 1, 28, 34, 26, generator=generator)
    return volumes
