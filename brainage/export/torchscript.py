"""TorchScript: a file that torch runs, in Python or C++, without this package."""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CONTRACT = "contract.json"
STEPS = "preprocessing.yaml"

_DEBUG = ".debug_pkl"


def write_torchscript(
    network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, Any], steps: str
) -> None:
    """Trace a network and store it with what belongs to it as extra files.

    Args:
        network: in evaluation mode; takes batches of any size.
        example: an input.
        path: the file.
        facts: become ``contract.json``.
        steps: become ``preprocessing.yaml``.
    """
    extra = {CONTRACT: json.dumps(dict(facts), indent=2), STEPS: steps}
    traced_at = path.with_name(f"{path.name}.traced")
    with _quiet(), torch.no_grad():
        # Whether it computes the same is tested on what was stored.
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            network, example, check_trace=False
        )
        torch.jit.save(traced, str(traced_at), _extra_files=extra)
    _without_source_paths(traced_at, path)
    traced_at.unlink()


def open_torchscript(path: Path) -> Callable[[Tensor], Any]:
    """The stored network, as whoever receives the file loads it."""
    with _quiet():
        stored = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        network = stored.eval()

    def ask(volumes: Tensor) -> Any:
        with torch.no_grad():
            return network(volumes)

    return ask


def _without_source_paths(traced: Path, path: Path) -> None:
    """Copy the archive without its debug records, which name files of this machine."""
    with zipfile.ZipFile(traced) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(_DEBUG):
                target.writestr(entry, source.read(entry))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without two notes: that TorchScript gives way to other formats, and what a trace fixes.

    Sizes are fixed on purpose: a network has one grid, and only the batch may differ.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        yield
