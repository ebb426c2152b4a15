"""Checkpoints: written whole or not at all, and loaded only into the run they belong to.

One is a folder ``step-00000120`` that ``torch.distributed.checkpoint`` writes, every rank its own
blocks, with a ``facts.json`` of plain values beside the tensors. It is written under another name
and renamed when all of it is there; only then the one before goes. Whatever number of devices wrote
it, any other can load it.
"""

import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from brainage.core.ranks import Alone, Ranks
from brainage.errors import CheckpointError

FORMAT = 2
FACTS = "facts.json"
_PATTERN = "step-*[0-9]"
_DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    pickle.UnpicklingError,
    CheckpointException,
)


class CheckpointStore:
    """Keeps the latest checkpoint of a run in a folder.

    Args:
        folder: where checkpoints live; created on the first save.
        fingerprint: identifies the run's configuration and data; another one is refused.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint

    def save(
        self,
        step: int,
        tensors: dict[str, Tensor],
        facts: dict[str, Any],
        ranks: Ranks | None = None,
    ) -> None:
        """Write a checkpoint, then remove the one before. All ranks have to call it.

        A crash or a full disk leaves the previous checkpoint whole.

        Args:
            step: steps that are done; names the folder.
            tensors: of this rank; a tensor that several ranks have is given by one of them.
            facts: plain values; rank 0's are kept.
            ranks: who writes together; one process by default.

        Raises:
            CheckpointError: if it cannot be written, on every rank.
        """
        ranks = ranks or Alone()
        whole = self.folder / f"step-{step:08d}"
        part = self.folder / f"{whole.name}.part"
        _agree(ranks, lambda: _make_way(part), part)
        problem = None
        try:
            _write_tensors(tensors, part, alone=ranks.world_size == 1)
        except _DAMAGE as error:
            problem = _reason(error)
        if problem := next(filter(None, ranks.gather(problem)), None):
            if ranks.rank == 0:
                shutil.rmtree(part, ignore_errors=True)
            raise CheckpointError(f"{whole}: cannot write the checkpoint: {problem}")
        content = {"format": FORMAT, "fingerprint": self.fingerprint, **facts}
        _agree(ranks, lambda: self._complete(part, whole, content), whole)

    def load(
        self, wanted: Callable[[str], bool]
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors on the CPU and facts of the latest checkpoint; None when there is none yet.

        Args:
            wanted: which tensors, by name.

        Raises:
            CheckpointError: if it is damaged or belongs to another configuration.
        """
        path = self.latest
        if path is None:
            return None
        try:
            facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error
        if facts.get("format") != FORMAT:
            got = facts.get("format")
            raise CheckpointError(f"{path}: expected checkpoint format {FORMAT}, got {got}")
        if facts["fingerprint"] != self.fingerprint:
            raise CheckpointError(
                f"{path}: belongs to another configuration or cohort; resume with the same "
                "settings, or start a new run"
            )
        try:
            return _read_tensors(path, wanted), facts
        except _DAMAGE as error:
            raise _damaged(path, error) from error

    @property
    def latest(self) -> Path | None:
        """The folder of the latest complete checkpoint."""
        return max(self.folder.glob(_PATTERN), default=None)

    def _complete(self, part: Path, whole: Path, content: dict[str, Any]) -> None:
        """Write the facts, give the folder its name, and remove older ones."""
        with (part / FACTS).open("w", encoding="utf-8") as stream:
            json.dump(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if whole.exists():  # the same step again, as after a resumed run that had no step left
            shutil.rmtree(whole)
        part.rename(whole)
        for older in self.folder.glob("step-*"):
            if older != whole:
                shutil.rmtree(older, ignore_errors=True)


def _agree(ranks: Ranks, action: Callable[[], None], path: Path) -> None:
    """Let rank 0 do something to the disk; all ranks hear whether it could."""
    problem = None
    if ranks.rank == 0:
        try:
            action()
        except OSError as error:
            problem = error.strerror or str(error)
    if problem := ranks.gather(problem)[0]:
        raise CheckpointError(f"{path}: cannot write the checkpoint: {problem}")


def _make_way(part: Path) -> None:
    """An empty folder, whatever a crash has left there."""
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)


def _write_tensors(tensors: dict[str, Tensor], folder: Path, *, alone: bool) -> None:
    with _without_remarks():
        save(tensors, storage_writer=FileSystemWriter(folder), no_dist=alone)


def _read_tensors(folder: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    reader = FileSystemReader(folder)
    tensors = {
        name: torch.empty(kept.size, dtype=kept.properties.dtype)
        for name, kept in reader.read_metadata().state_dict_metadata.items()
        if isinstance(kept, TensorStorageMetadata) and wanted(name)
    }
    with _without_remarks():
        load(tensors, storage_reader=reader, no_dist=True)
    return tensors


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Torch warns of a single process, which is meant here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def _damaged(path: Path, error: BaseException) -> CheckpointError:
    """Says what to do, too: without the folder a run goes on from what else there is."""
    return CheckpointError(
        f"{path}: cannot be read: {_reason(error)}; delete this folder and resume again: this part "
        "of the run then starts anew, or from an older checkpoint if one is beside it"
    )


def _reason(error: BaseException) -> str:
    """What went wrong, in a line; of a failure on several ranks, the first one's."""
    if isinstance(error, CheckpointException):
        for inner, _ in error.failures.values():
            return _reason(inner)
    return next(iter(str(error).splitlines()), type(error).__name__)
