"""Writing a bundle: all of it under another name, then one rename."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from brainage.bundle.files import (
    AGE_UNIT,
    CALIBRATION,
    CARD,
    FORMAT,
    GOLDEN_EXPECTED,
    MODEL,
    PREPROCESSING,
    TRAINING_SPACE,
    WEIGHTS,
    file_sha256,
)
from brainage.bundle.golden import write_expected, write_golden_scan
from brainage.bundle.load import load_bundle, preprocessing_contract
from brainage.bundle.model import Member, ModelBundle
from brainage.bundle.space_file import write_space
from brainage.bundle.training_space import TrainingSpace
from brainage.bundle.versions import recorded_versions
from brainage.config.run import RunConfig
from brainage.config.validation import to_plain
from brainage.config.yaml_text import to_yaml
from brainage.core.tasks import task_to_mapping
from brainage.errors import RunFolderError


def save_bundle(
    folder: Path,
    *,
    config: RunConfig,
    members: Sequence[Member],
    input_shape: tuple[int, ...],
    calibration: Mapping[str, Any],
    card: str,
    training_space: TrainingSpace | None = None,
) -> ModelBundle:
    """Write a bundle and load it again, which proves that it can be loaded.

    Args:
        folder: replaced when it exists.
        config: the resolved configuration.
        members: the trained networks; their names differ.
        input_shape: shape of one input without the batch axis.
        calibration: training ages, held-out results, and ``HonestNumbers`` as its ``as_dict`` has
            them; plain JSON values.
        card: text of ``MODEL_CARD.md``.
        training_space: of the members, in their order; its limit stands in the calibration.

    Raises:
        RunFolderError: if the folder cannot be written.
    """
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_weights(members), part / WEIGHTS)
        if training_space is not None:
            write_space(part / TRAINING_SPACE, [each.name for each in members], training_space)
        model = _model(part, config, members, input_shape)
        contract = preprocessing_contract(config)
        (part / MODEL).write_text(to_yaml(model), encoding="utf-8")
        (part / PREPROCESSING).write_text(to_yaml(contract), encoding="utf-8")
        text = json.dumps(calibration, indent=2, allow_nan=False) + "\n"
        (part / CALIBRATION).write_text(text, encoding="utf-8")
        (part / CARD).write_text(card, encoding="utf-8")
        write_golden_scan(part)
        (part / GOLDEN_EXPECTED).write_text("{}\n", encoding="utf-8")
        write_expected(load_bundle(part, being_written=True))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot write the model: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(load_bundle(folder), folder=folder)


def _model(
    folder: Path, config: RunConfig, members: Sequence[Member], input_shape: tuple[int, ...]
) -> dict[str, Any]:
    """Content of ``model.yaml``; the weights are in the folder already."""
    return {
        "format": FORMAT,
        "age_unit": AGE_UNIT,
        "input_shape": list(input_shape),
        "weights_sha256": file_sha256(folder / WEIGHTS),
        "versions": recorded_versions(),
        "members": [
            {
                "name": member.name,
                "overrides": list(member.overrides),
                "task": task_to_mapping(member.task),
            }
            for member in members
        ],
        "run": to_plain(config),
    }


def _weights(members: Sequence[Member]) -> dict[str, Tensor]:
    """Weights of all networks, each under its name."""
    assert len({member.name for member in members}) == len(members) > 0, members
    return {
        f"{member.name}/{name}": value.detach().cpu().contiguous().clone()
        for member in members
        for name, value in member.chain.state_dict().items()
    }
