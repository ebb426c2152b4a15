"""A model that has learned nothing but whose blocks differ, and one scan's volume for it."""

from pathlib import Path

import numpy as np
import pytest

from brainage.bundle.model import Member, ModelBundle
from brainage.preprocess.grid import grid_affine, template_mask
from brainage.preprocess.pipeline import PreprocessedScan
from tests.bundle.conftest import CALIBRATION, make_member
from tests.workflows.tiny import tiny_config

SPACING_MM = 8.0
GRID = {"spacing_mm": SPACING_MM, "shape_XYZ": [20, 24, 20]}


def small_config(**sections):
    preprocess = {"bias_field": {"method": "none"}, "grid": GRID}
    return tiny_config(preprocess=preprocess, **sections)


def in_memory(config, *members: Member) -> ModelBundle:
    """A model that lies in no folder."""
    return ModelBundle(
        folder=Path("nowhere"),
        config=config,
        members=members or (make_member(config),),
        input_shape=(1, *config.preprocess.grid.shape_XYZ),
        calibration=CALIBRATION,
        model_hash="0" * 16,
        preprocessing_hash="0" * 16,
    )


@pytest.fixture(scope="session")
def model() -> ModelBundle:
    return in_memory(small_config())


@pytest.fixture(scope="session")
def scan(model) -> PreprocessedScan:
    """Noise in the template's brain."""
    config = model.config.preprocess.grid
    affine = grid_affine(config)
    mask_XYZ = template_mask(affine, config.shape_XYZ)
    noise = np.random.default_rng(4).normal(size=mask_XYZ.shape).astype(np.float32)
    return PreprocessedScan(
        volume_XYZ=np.where(mask_XYZ, noise, np.float32(0)),
        mask_XYZ=mask_XYZ,
        affine=affine,
        scan_to_template=np.eye(4),
        quality={},
        seconds={},
        brain_source="none",
    )
