"""Checkpoints: written whole or not at all, and loaded only into the run they belong to."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from brainage.errors import CheckpointError

FORMAT = 1


class CheckpointStore:
    """Keeps the latest checkpoint of a run as one file.

    Args:
        folder: where ``last.pt`` lives; created on the first save.
        fingerprint: identifies the run's configuration and data; another one is refused.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / "last.pt"
        self.fingerprint = fingerprint

    def save(self, state: dict[str, Any]) -> None:
        """Write tensors and plain values under another name, then rename.

        A crash or a full disk leaves the previous checkpoint whole.

        Raises:
            CheckpointError: if it cannot be written.
        """
        content = {"format": FORMAT, "fingerprint": self.fingerprint, **state}
        part = self.path.with_name(f"last.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                torch.save(content, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self.path)
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot write the checkpoint: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The latest checkpoint, on the CPU; None when there is none yet.

        Raises:
            CheckpointError: if it is damaged or belongs to another configuration.
        """
        if not self.path.exists():
            return None
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CheckpointError(f"{self.path}: cannot be read: {reason}") from error
        if content.get("format") != FORMAT:
            got = content.get("format")
            raise CheckpointError(f"{self.path}: expected checkpoint format {FORMAT}, got {got}")
        if content["fingerprint"] != self.fingerprint:
            raise CheckpointError(
                f"{self.path}: belongs to another configuration or cohort; resume with the same "
                "settings, or start a new run"
            )
        return content
