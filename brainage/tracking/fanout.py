"""One recorder that forwards to several."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from brainage.core.types import Recorder, Scalar


class FanoutRecorder:
    """Forwards every call to all recorders, in the order given.

    Each recorder is called even when one before it raises; the first error is raised afterwards,
    so no listener misses the end of a run because another one failed.
    """

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.recorders = tuple(recorders)

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Forward the settings of the run."""
        self._forward(lambda recorder: recorder.parameters(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Forward numbers at one point of the run."""
        self._forward(lambda recorder: recorder.metrics(values, step))

    def event(self, kind: str, **fields: Scalar) -> None:
        """Forward something that happened."""
        self._forward(lambda recorder: recorder.event(kind, **fields))

    def artifact(self, path: Path, folder: str = "") -> None:
        """Forward a finished file or folder."""
        self._forward(lambda recorder: recorder.artifact(path, folder))

    def close(self, status: str) -> None:
        """Forward the end of the run."""
        self._forward(lambda recorder: recorder.close(status))

    def _forward(self, call: Callable[[Recorder], None]) -> None:
        first: Exception | None = None
        for recorder in self.recorders:
            try:
                call(recorder)
            except Exception as error:
                first = first or error
        if first is not None:
            raise first
