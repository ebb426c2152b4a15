"""A MONAI bundle: a folder, or a zip file of it, that ``python -m monai.bundle`` runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainage.bundle.files import CARD
from brainage.bundle.model import ModelBundle
from brainage.export.graph import AgeGraph
from brainage.export.monai_text import LICENSE, inference, metadata, readme, schema
from brainage.export.torchscript import open_torchscript, write_torchscript

STEPS = "preprocessing.yaml"
NETWORK = "models/model.ts"
METADATA = "configs/metadata.json"


class OneOutput(nn.Module):
    """The same ages in one tensor (B, 1 + K), as MONAI's tools expect of a network."""

    def __init__(self, graph: AgeGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, volume: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to ages in years (B, 1 + K): the answer, then the blocks."""
        ages, by_block = self.graph(volume)
        return torch.cat([ages[:, None], by_block], dim=1)


def write_monai_bundle(
    bundle: ModelBundle, graph: AgeGraph, folder: Path, facts: dict[str, Any], steps: str
) -> None:
    """Write the folder.

    Args:
        bundle: the model.
        graph: what is exported of it.
        folder: is made.
        facts: stand in the metadata under ``brainage``.
        steps: become ``configs/preprocessing.yaml``.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    write_torchscript(OneOutput(graph), graph.example(2), folder / NETWORK, facts, steps)
    card = (bundle.folder / CARD).read_text(encoding="utf-8")
    texts = {
        METADATA: _json(metadata(bundle, graph, facts)),
        "configs/metadata_schema.json": _json(schema()),
        "configs/inference.json": _json(inference()),
        f"configs/{STEPS}": steps,
        "docs/README.md": readme(bundle, graph, card),
        "LICENSE": LICENSE,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def zip_folder(folder: Path, path: Path) -> None:
    """Pack a bundle's folder, under its name, into a file that ends in ``.zip``."""
    base = str(path.with_suffix(""))
    shutil.make_archive(base, "zip", root_dir=folder.parent, base_dir=folder.name)


def open_monai_bundle(folder: Path) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The network in the folder; answers as the other formats do."""
    network = open_torchscript(folder / NETWORK)

    def ask(volumes: Tensor) -> tuple[Tensor, Tensor]:
        ages = network(volumes)
        return ages[:, 0], ages[:, 1:]

    return ask


def is_monai_bundle(folder: Path) -> bool:
    """Whether a folder was written by this package, and may be replaced."""
    try:
        content = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "brainage" in content


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"
