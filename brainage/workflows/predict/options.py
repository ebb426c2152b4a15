"""How scans are predicted; the same for the command and the library."""

from dataclasses import dataclass
from pathlib import Path

import torch

from brainage.core.config import require
from brainage.core.timing import choose_device
from brainage.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """How scans are predicted."""

    answer: str = "last"
    """Of the last block, of the ``ensemble`` of all, or of one, ``block2``, behind which the
    networks stop."""

    jobs: int = 1
    """Scans preprocessed at the same time: in this process, or each in one of its own."""

    batch_size: int = 1
    """Volumes that an accelerator is given together. A CPU takes them one by one in any case,
    since a batch changes the last digits there."""

    device: str = "auto"
    """Where the networks run: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` is the first accelerator if
    there is one."""

    cache_folder: Path | None = None
    """Where preprocessed volumes are found and kept; None keeps none."""

    def __post_init__(self) -> None:
        try:
            require(self.jobs >= 1, "jobs", "at least 1", self.jobs)
            require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        except ValueError as error:  # these come from a command line or a program, not from YAML
            raise ConfigError(str(error)) from error

    def place(self) -> torch.device:
        """The device.

        Raises:
            ConfigError: if there is no such device here.
        """
        if self.device.partition(":")[0] not in DEVICES:
            raise ConfigError(f"device: expected {', '.join(DEVICES)}, got {self.device!r}")
        try:
            return choose_device(self.device)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"device: {str(error).splitlines()[0]}") from error
