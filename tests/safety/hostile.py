"""A model folder as somebody with bad intentions would make it: its hashes are all right."""

import json
import os
import shutil
from pathlib import Path

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.files import file_sha256, model_hash
from brainage.config.yaml_text import read_yaml, to_yaml


class Payload:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self._mark),)


def copy_of_demonstration(folder: Path) -> Path:
    return Path(shutil.copytree(DEMONSTRATION, folder))


def set_model(folder: Path, **changes) -> None:
    """Change keys of ``model.yaml``, and all hashes with them."""
    path = folder / "model.yaml"
    digest = file_sha256(folder / "weights.safetensors")
    path.write_text(to_yaml({**read_yaml(path), "weights_sha256": digest, **changes}))
    seal(folder)


def seal(folder: Path) -> None:
    """The hash that the golden scan's file has to state."""
    path = folder / "golden/expected.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "model_hash": model_hash(folder)}))
