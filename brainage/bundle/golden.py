"""The golden scan: a known input whose prediction shows that a model still computes the same.

It is the MNI152 template itself, tilted and made smaller, so a bundle carries nobody's brain.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from brainage.bundle.files import GOLDEN_EXPECTED, GOLDEN_SCAN, read_json
from brainage.bundle.model import AgePrediction, ModelBundle
from brainage.errors import BundleError
from brainage.preprocess.pipeline import Preprocessor
from brainage.preprocess.state import Image
from brainage.preprocess.template import load_template
from brainage.scans.nifti import read_scan

TOLERANCE_YEARS = 0.05
"""Largest difference on another machine; the same machine gives the same bits."""

_TILT_DEGREES = 7.0
# The template's brain has 1.88 l; this one has 1.37 l, within any limits set for real brains.
_SCALE = 0.9


@dataclass(frozen=True)
class GoldenResult:
    """Expected and obtained age of the golden scan, in years."""

    expected_years: float
    obtained_years: float

    @property
    def agrees(self) -> bool:
        """Whether both are the same within ``TOLERANCE_YEARS``."""
        return abs(self.expected_years - self.obtained_years) <= TOLERANCE_YEARS


def write_golden_scan(folder: Path) -> None:
    """Write the golden scan into a bundle's folder."""
    template = load_template()
    angle = np.deg2rad(_TILT_DEGREES)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    tilt[:3, :3] *= _SCALE
    tilt[:3, 3] = (3.0, -8.0, 5.0)
    data = template.brain_XYZ * 1000
    image = nib.Nifti1Image(data.astype(np.int16), tilt @ template.affine)
    path = folder / GOLDEN_SCAN
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def golden_volume(bundle: ModelBundle) -> Image:
    """The golden scan after the model's preprocessing, (X, Y, Z).

    Raises:
        ScanError: if this installation cannot preprocess it.
    """
    scan = read_scan(bundle.folder / GOLDEN_SCAN)
    return Preprocessor(bundle.config.preprocess)(scan).volume_XYZ


def predict_golden(bundle: ModelBundle) -> AgePrediction:
    """Age of the golden scan, through the bundle's preprocessing and all of its networks.

    Raises:
        ScanError: as `golden_volume`.
    """
    return bundle.predict(golden_volume(bundle))


def write_expected(bundle: ModelBundle) -> None:
    """Store what the golden scan's prediction is now."""
    predicted = predict_golden(bundle)
    content = {
        "predicted_age_years": predicted.age_years,
        "predicted_age_years_by_block": {str(k): v for k, v in predicted.by_block.items()},
        "preprocessing_hash": bundle.preprocessing_hash,
        "model_hash": bundle.model_hash,
    }
    text = json.dumps(content, indent=2) + "\n"
    (bundle.folder / GOLDEN_EXPECTED).write_text(text, encoding="utf-8")


def replay_golden(bundle: ModelBundle) -> GoldenResult:
    """Predict the golden scan again and compare.

    Raises:
        BundleError: if the expected age is damaged.
        ScanError: if this installation cannot preprocess the golden scan.
    """
    predicted = predict_golden(bundle)
    path = bundle.folder / GOLDEN_EXPECTED
    expected = read_json(path).get("predicted_age_years")
    if not isinstance(expected, int | float):
        raise BundleError(f"{path}: damaged: expected an age, got {expected!r}")
    return GoldenResult(float(expected), predicted.age_years)
