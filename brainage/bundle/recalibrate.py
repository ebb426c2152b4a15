"""A bundle with the same networks and another calibration."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainage.bundle.files import (
    CALIBRATION,
    CARD,
    GOLDEN_EXPECTED,
    GOLDEN_SCAN,
    HASHED,
    model_hash,
    read_json,
)
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import RunFolderError


def save_recalibrated(
    bundle: ModelBundle, folder: Path, calibration: Mapping[str, Any], card: str
) -> ModelBundle:
    """Copy a bundle and replace its calibration and card; all else stays, byte for byte.

    The expected age of the golden scan stays, too: what a model computed when it was trained is
    what it is compared with for ever.

    Args:
        bundle: to be copied.
        folder: of the copy; it must not be there.
        calibration: content of ``calibration.json``; plain JSON values.
        card: text of ``MODEL_CARD.md``.

    Raises:
        RunFolderError: if the folder cannot be written.
    """
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for name in (*HASHED, GOLDEN_SCAN):
            if (bundle.folder / name).is_file():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / name, part / name)
        text = json.dumps(calibration, indent=2, allow_nan=False) + "\n"
        (part / CALIBRATION).write_text(text, encoding="utf-8")
        (part / CARD).write_text(card, encoding="utf-8")
        expected = {**read_json(bundle.folder / GOLDEN_EXPECTED), "model_hash": model_hash(part)}
        text = json.dumps(expected, indent=2) + "\n"
        (part / GOLDEN_EXPECTED).write_text(text, encoding="utf-8")
        load_bundle(part)
        part.rename(folder)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot write the model: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_bundle(folder)
