"""The formats a model can be exported to: how each is written, and asked again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from brainage.bundle.model import ModelBundle
from brainage.export.contract import contract_of, preprocessing_text
from brainage.export.graph import AgeGraph
from brainage.export.monai_bundle import STEPS as MONAI_STEPS
from brainage.export.monai_bundle import open_monai_bundle, write_monai_bundle
from brainage.export.onnx_file import check_packages, open_onnx, write_onnx
from brainage.export.torchscript import open_torchscript, write_torchscript

Ask = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Volumes (B, 1, X, Y, Z) to ages in years (B,) and by block (B, K)."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    ``write`` takes the model, its graph, the place and the name of the file of preprocessing steps
    that belongs to it; ``ask`` loads what was written. A format that ``is_folder`` holds that file.
    """

    write: Callable[[ModelBundle, AgeGraph, Path, str], None]
    ask: Callable[[Path], Ask]
    check: Callable[[], None] = lambda: None
    is_folder: bool = False


def _write_onnx(bundle: ModelBundle, graph: AgeGraph, path: Path, steps: str) -> None:
    write_onnx(graph, path, contract_of(bundle, graph), preprocessing_text(bundle, steps))


def _write_torchscript(bundle: ModelBundle, graph: AgeGraph, path: Path, steps: str) -> None:
    facts, text = contract_of(bundle, graph), preprocessing_text(bundle, steps)
    write_torchscript(graph, graph.example(2), path, facts, text)


def _write_monai(bundle: ModelBundle, graph: AgeGraph, path: Path, _: str) -> None:
    text = preprocessing_text(bundle, f"configs/{MONAI_STEPS}")
    write_monai_bundle(bundle, graph, path, contract_of(bundle, graph), text)


FORMATS: dict[str, Format] = {
    "onnx": Format(write=_write_onnx, ask=open_onnx, check=check_packages),
    "torchscript": Format(write=_write_torchscript, ask=open_torchscript),
    "monai-bundle": Format(write=_write_monai, ask=open_monai_bundle, is_folder=True),
}
