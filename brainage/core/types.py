"""What the core exchanges with the code around it: batches in, numbers out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from torch import Tensor

Scalar = str | int | float | bool | None


class Batch(NamedTuple):
    """One training or evaluation batch.

    ``inputs`` has shape (B, C, ...) and ``targets`` shape (B,): ages in years (float) or class
    indices (int64). Where several devices share a batch, ``inputs`` holds only the samples that
    this one asked for, in order, and ``targets`` still all of them.
    """

    inputs: Tensor
    targets: Tensor


Rows = Callable[[int], Sequence[int]]
"""For a batch of so many samples, whose inputs are wanted, rising; none wants targets only."""


class BatchSource(Protocol):
    """A data set that can deliver any epoch again, bit for bit.

    Order and augmentation depend only on (seed, epoch, sample), never on what was drawn before, so
    a resumed run and a run on other devices see the same data.
    """

    @property
    def num_samples(self) -> int:
        """Samples in one epoch."""

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Samples in each batch of an epoch, in order; the same in every epoch."""

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of epoch ``epoch`` (0-based), in order.

        Args:
            epoch: which one.
            first: batches of the epoch that are skipped, without loading them.
            rows: whose inputs are wanted; everyone's by default. Others are not loaded.
        """


class Recorder(Protocol):
    """Receives what a run reports. The core knows this protocol and none of the listeners."""

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """The resolved settings of the run, flattened to dotted names; once, before training."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers at one point of the run; names from the closed list of ``core.metrics``."""

    def event(self, kind: str, **fields: Scalar) -> None:
        """Something that happened: a stage began or ended, a scan failed, a checkpoint was kept."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A finished file or folder that belongs to the run's results."""

    def close(self, status: str) -> None:
        """End the record; ``status`` is ``finished``, ``failed`` or ``killed``."""


class SilentRecorder:
    """A recorder that keeps nothing."""

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Forget the settings."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Forget the numbers."""

    def event(self, kind: str, **fields: Scalar) -> None:
        """Forget the event."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Forget the file."""

    def close(self, status: str) -> None:
        """Nothing to end."""
