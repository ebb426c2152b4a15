"""ONNX: a file that onnxruntime and others run, without torch."""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainage.environment import prepare_environment
from brainage.errors import BundleError, MissingPackage
from brainage.export.contract import INPUT, OUTPUTS, as_strings
from brainage.export.graph import AgeGraph

STEPS = "preprocessing.yaml"

_OPSET = 20
"""The first that samples a volume at positions between its voxels, as the views need."""
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_packages() -> None:
    """Refuse at once what could not be finished.

    Raises:
        MissingPackage: naming the first that is not installed.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingPackage(package, "export to ONNX", "export")


def write_onnx(graph: AgeGraph, path: Path, facts: Mapping[str, Any], steps: str) -> None:
    """Translate the graph, with a free batch size, and store it in one file.

    Args:
        graph: what to export.
        path: the file.
        facts: become the model's metadata, each under its name.
        steps: become the metadata ``preprocessing.yaml``.

    Raises:
        BundleError: if the network has an operation that ONNX does not know.
    """
    onnx = importlib.import_module("onnx")
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph,
                (graph.example(2),),
                dynamo=True,
                opset_version=_OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise BundleError(f"the network cannot be translated to ONNX: {reason}") from error
    assert program is not None
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, {**as_strings(dict(facts)), STEPS: steps})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def open_onnx(path: Path) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The stored graph in onnxruntime, on the CPU."""
    prepare_environment()  # onnxruntime reads its environment while it is imported
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def ask(volumes: Tensor) -> tuple[Tensor, Tensor]:
        ages, by_block = session.run(list(OUTPUTS), {INPUT: volumes.numpy()})
        return torch.from_numpy(ages), torch.from_numpy(by_block)

    return ask


def _strip(model: Any) -> None:
    """Take out what the exporter notes of each operation: files of this machine among it."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on packages it would know, and on torch's own insides."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec", FutureWarning)
            yield
    finally:
        registry.setLevel(level)
