"""Progress with the time left, on stderr; nothing at all when stderr is not a terminal."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from brainage.core.types import Scalar

SHOWN_METRICS = {"train/loss": "loss", "val/mae_years": "val MAE"}


class StageProgress:
    """Progress of one stage that handles a known number of things; a context manager.

    Args:
        label: what is done, shown in front of the bar.
        total: how many things there are.
        unit: what one thing is called, in the singular.
        done: how many are finished already, so that they do not count for the time left.
        stream: where to write; stderr by default.
    """

    def __init__(
        self, label: str, total: int, unit: str, *, done: int = 0, stream: TextIO | None = None
    ) -> None:
        stream = stream or sys.stderr
        self._bar = tqdm(
            desc=label,
            total=total,
            initial=done,
            unit=unit,
            file=stream,
            disable=not stream.isatty(),
            dynamic_ncols=True,
            mininterval=0.2,
        )

    @property
    def done(self) -> int:
        """Things finished so far."""
        return int(self._bar.n)

    def advance(self, count: int = 1, **facts: str | float) -> None:
        """Count things as finished and show facts behind the bar."""
        if facts:
            self._bar.set_postfix(facts, refresh=False)
        # A disabled bar does not count for itself.
        if self._bar.disable:
            self._bar.n += count
        else:
            self._bar.update(count)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class EpochProgress:
    """A ``Recorder`` that shows how far training is, from the metrics that it reports anyway.

    The bar appears at once: make it when training starts, not when the run does.

    Args:
        num_epochs: epochs of the whole run; the step of metrics is the number of epochs finished.
        epochs_done: epochs that a resumed run has behind it.
        stream: where to write; stderr by default.
    """

    def __init__(
        self, num_epochs: int, *, epochs_done: int = 0, stream: TextIO | None = None
    ) -> None:
        self._stage = StageProgress(
            "training", num_epochs, "epoch", done=epochs_done, stream=stream
        )
        self._num_epochs = num_epochs
        self._facts: dict[str, str | float] = {}

    @property
    def epochs_done(self) -> int:
        """Epochs finished so far."""
        return self._stage.done

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Settings are not progress."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Count the epoch as finished; an epoch may report more than once."""
        for name, label in SHOWN_METRICS.items():
            if name in values:
                self._facts[label] = f"{values[name]:.3g}"
        done = min(step, self._num_epochs)
        self._stage.advance(max(0, done - self._stage.done), **self._facts)

    def event(self, kind: str, **fields: Scalar) -> None:
        """Events are not progress."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Results are not progress."""

    def close(self, status: str) -> None:  # noqa: ARG002 - the Recorder protocol's name
        """Leave the bar as it stands."""
        self._stage.close()
