"""Warnings of what can be seen in a scan and its age."""

from pathlib import Path

import numpy as np
import pytest

from brainage.bundle.answer import AgePrediction
from brainage.bundle.flags import scan_flags
from brainage.bundle.model import ModelBundle
from brainage.bundle.training_space import TrainingSpace
from brainage.preprocess.contrast import measure_contrast
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.template import load_template
from tests.workflows.tiny import tiny_config


def prepared(sign: float = 1.0, **quality: float) -> PreprocessedScan:
    template = load_template()
    return PreprocessedScan(
        volume_XYZ=sign * template.brain_XYZ,
        mask_XYZ=template.mask_XYZ,
        affine=template.affine,
        scan_to_template=np.eye(4),
        quality={"template_dice": 0.95, **quality},
        seconds={},
        brain_source="deepbet",
    )


@pytest.fixture
def bundle() -> ModelBundle:
    """A model without a network, which knows its training scans' ages and place."""
    return ModelBundle(
        folder=Path(),
        config=tiny_config(),
        members=(),
        input_shape=(1, 40, 48, 40),
        calibration={"training_age_range_years": [20.0, 60.0]},
        model_hash="",
        preprocessing_hash="",
        training_space=TrainingSpace((), most=2.0),
    )


@pytest.mark.parametrize(
    ("scan", "said", "expected"),
    [
        (prepared(), AgePrediction(30.0, {}, training_distance=1.0), ()),
        (prepared(-1.0), AgePrediction(30.0, {}), ("contrast_not_t1w",)),
        (prepared(), AgePrediction(30.0, {}, training_distance=3.0), ("unlike_training",)),
        (prepared(), AgePrediction(70.0, {}), ("predicted_age_outside_training",)),
        (prepared(template_dice=0.5), AgePrediction(30.0, {}), ("low_template_dice",)),
    ],
)
def test_each_warning_has_its_reason(bundle, scan, said, expected):
    assert scan_flags(bundle, scan.quality, measure_contrast(scan), said) == expected


def test_a_guessed_orientation_is_told_between_the_others(bundle):
    said = AgePrediction(70.0, {}, training_distance=3.0)
    flags = scan_flags(bundle, {"template_dice": 0.5}, None, said, orientation_stated=False)
    assert flags == (
        "low_template_dice",
        "orientation_guessed",
        "unlike_training",
        "predicted_age_outside_training",
    )
