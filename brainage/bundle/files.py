"""Names and formats of the files in a bundle, and how they are read and checked."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from brainage.bundle.containment import check_contained
from brainage.config.yaml_text import read_yaml as read_config_yaml
from brainage.errors import BundleError, ConfigError

FORMAT = 3
AGE_UNIT = "years"

WEIGHTS = "weights.safetensors"
MODEL = "model.yaml"
PREPROCESSING = "preprocessing.yaml"
CALIBRATION = "calibration.json"
TRAINING_SPACE = "training_space.safetensors"
CARD = "MODEL_CARD.md"
GOLDEN_SCAN = "golden/scan.nii.gz"
GOLDEN_EXPECTED = "golden/expected.json"

SUBJECT_HASHES = "training_subject_hashes"
SCAN_HASHES = "training_scan_sha256"
"""Keys of ``calibration.json``: who the model was trained on, and on which scans, by hashes."""
MOST = 1e12
"""No number of a calibration is larger."""

REQUIRED = (WEIGHTS, MODEL, PREPROCESSING, CALIBRATION, CARD, GOLDEN_SCAN, GOLDEN_EXPECTED)
HASHED = (WEIGHTS, MODEL, PREPROCESSING, CALIBRATION, TRAINING_SPACE)
"""What the model's hash covers: everything that decides a row of predictions. The last is absent
where there were too few scans for it, and ``calibration.json`` says so."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_hash(folder: Path) -> str:
    """Sixteen hexadecimal digits that change with anything that could change a prediction."""
    digest = hashlib.sha256()
    for name in HASHED:
        if name == TRAINING_SPACE and not (folder / name).exists():
            continue
        digest.update(f"{name}:{file_sha256(folder / name)}\n".encode())
    return digest.hexdigest()[:16]


def check_complete(folder: Path) -> None:
    """Raise a BundleError that names what is missing, closed, or outside the folder."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such model folder; give --model the folder that "
                          "holds model.yaml, e.g. runs/lfnn3d/model")  # fmt: skip
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing and (folder / "model" / MODEL).is_file():
        raise BundleError(f"{folder}: a run, not a model; did you mean {folder / 'model'}?")
    if missing:
        raise BundleError(f"{folder}: not a complete model: {', '.join(missing)} missing")
    closed = [name for name in REQUIRED if not os.access(folder / name, os.R_OK)]
    if closed:
        raise BundleError(f"{folder}: {', '.join(closed)} cannot be read; ask its owner for access")
    check_contained(folder)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping without aliases, which make gigabytes of a few lines.

    Raises:
        BundleError: if the file is not one.
    """
    try:
        return read_config_yaml(path, aliases=False)
    except ConfigError as error:
        raise BundleError(f"damaged model: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BundleError: if the file is not one.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    if not isinstance(values, dict):
        raise BundleError(f"{path}: damaged: expected an object, got {type(values).__name__}")
    return values


def finite(value: Any) -> float:
    """A number as JSON has it.

    Raises:
        ValueError: if it is no number, or none that can be counted with.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) < MOST:
        raise ValueError(f"expected a finite number, got {value!r:.40}")
    return float(value)
