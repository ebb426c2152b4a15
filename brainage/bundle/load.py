"""Loading a bundle: every piece is checked before the first prediction."""

import logging
from pathlib import Path
from typing import Any

from brainage.bundle.files import (
    AGE_UNIT,
    FORMAT,
    GOLDEN_EXPECTED,
    MODEL,
    PREPROCESSING,
    WEIGHTS,
    check_complete,
    file_sha256,
    model_hash,
    read_json,
    read_yaml,
)
from brainage.bundle.load_calibration import load_calibration, load_numbers
from brainage.bundle.members import load_members
from brainage.bundle.model import ModelBundle
from brainage.bundle.versions import differing_versions
from brainage.config.load import config_from_mapping
from brainage.config.run import RunConfig
from brainage.config.validation import to_plain
from brainage.errors import BundleError, ConfigError
from brainage.preprocess.pipeline import preprocessing_hash
from brainage.preprocess.template import TEMPLATE_NAME, load_template

_log = logging.getLogger(__name__)


def load_bundle(folder: Path, *, being_written: bool = False) -> ModelBundle:
    """Load a model for prediction on the CPU.

    Args:
        folder: the bundle, as written by ``save_bundle``.
        being_written: the golden scan's prediction, which names the model's hash, is still to come.

    Raises:
        BundleError: if a piece is missing, altered, or does not fit this version's preprocessing.
    """
    check_complete(folder)
    model = read_yaml(folder / MODEL)
    _check_model(folder, model)
    try:
        config = config_from_mapping(model["run"])
    except ConfigError as error:
        raise BundleError(f"{folder / MODEL}: run.{error}") from error
    hash_ = _check_preprocessing(folder, config)
    input_shape = _input_shape(folder, model, config)
    members = load_members(folder, model, config, input_shape)
    calibration = load_calibration(folder)
    numbers = load_numbers(folder, calibration, [member.name for member in members])
    hash_of_model = model_hash(folder)
    if not being_written:
        _check_unaltered(folder, hash_of_model)
    _tell_other_versions(folder, model["versions"])
    return ModelBundle(
        folder=folder,
        config=config,
        members=members,
        input_shape=input_shape,
        calibration=calibration,
        model_hash=hash_of_model,
        preprocessing_hash=hash_,
        age_line=numbers.age_line,
        intervals=numbers.intervals,
        training_space=numbers.training_space,
    )


def _tell_other_versions(folder: Path, recorded: Any) -> None:
    """A warning, since other versions may give the same ages; the golden scan decides that."""
    if not isinstance(recorded, dict):
        raise BundleError(f"{folder / MODEL}: damaged: versions: expected names and versions")
    if other := differing_versions(recorded):
        _log.warning(
            "%s was made with other versions of %s; 'brainage doctor --model %s' predicts its "
            "golden scan again and says whether ages are the same",
            folder, ", ".join(other), folder,
        )  # fmt: skip


def _check_unaltered(folder: Path, found: str) -> None:
    """Refuse a bundle whose files are not those its golden scan was predicted with."""
    expected = read_json(folder / GOLDEN_EXPECTED).get("model_hash")
    if expected != found:
        raise BundleError(
            f"{folder}: altered since it was saved: its files give the model hash {found}, "
            f"{GOLDEN_EXPECTED} says {expected}"
        )


def _check_model(folder: Path, model: dict[str, Any]) -> None:
    path = folder / MODEL
    keys = ("format", "age_unit", "input_shape", "members", "run", "versions", "weights_sha256")
    missing = [key for key in keys if key not in model]
    if "format" in model and model["format"] != FORMAT:
        raise BundleError(f"{path}: expected bundle format {FORMAT}, got {model['format']}")
    if missing:
        raise BundleError(f"{path}: damaged: {', '.join(missing)} missing")
    if model["age_unit"] != AGE_UNIT:
        raise BundleError(f"{path}: expected ages in {AGE_UNIT}, got {model['age_unit']}")
    found = file_sha256(folder / WEIGHTS)
    if found != model["weights_sha256"]:
        raise BundleError(
            f"{folder / WEIGHTS}: not the weights this model was saved with "
            f"(SHA-256 {found[:12]}..., expected {str(model['weights_sha256'])[:12]}...)"
        )


def _input_shape(folder: Path, model: dict[str, Any], config: RunConfig) -> tuple[int, ...]:
    """One channel of the grid that the preprocessing makes."""
    expected = (1, *config.preprocess.grid.shape_XYZ)
    if model["input_shape"] != list(expected):
        raise BundleError(
            f"{folder / MODEL}: damaged: expected input_shape {list(expected)}, the grid of its "
            f"preprocessing, got {model['input_shape']}"
        )
    return expected


def _check_preprocessing(folder: Path, config: RunConfig) -> str:
    """The hash, when the stored contract is what this version would do."""
    path = folder / PREPROCESSING
    stored = read_yaml(path)
    now = preprocessing_contract(config)
    for key in now:
        if stored.get(key) != now[key]:
            raise BundleError(
                f"{path}: this installation cannot repeat the model's preprocessing: {key} is "
                f"{now[key]!r} here, {stored.get(key)!r} in the model; use the version of "
                "brainage the model was trained with, or train again"
            )
    return str(now["preprocessing_hash"])


def preprocessing_contract(config: RunConfig) -> dict[str, Any]:
    """What must be equal where a model is trained and where it is used; plain YAML values."""
    return {
        "template": TEMPLATE_NAME,
        "template_sha256": load_template().sha256,
        "preprocessing_hash": preprocessing_hash(config.preprocess),
        "steps": to_plain(config.preprocess),
    }
