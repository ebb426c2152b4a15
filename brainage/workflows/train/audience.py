"""Who hears of the fits of a run: the records of its parts, and a bar that shows how far it is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from brainage.core.types import Recorder, SilentRecorder
from brainage.workflows.train.plan_fits import PlannedFit


class Audience(Protocol):
    """Opens a recorder for each part of a run, and one for each fit within it."""

    def of_part(self, part: PlannedFit) -> AbstractContextManager[Recorder]:
        """Of a whole part, which is kept."""

    def of_fit(self, label: str, num_scans: int, epochs: int) -> AbstractContextManager[Recorder]:
        """Of one fit, which is shown while it is trained."""


class Nobody:
    """The audience of a rank that helps."""

    @contextmanager
    def of_part(self, part: PlannedFit) -> Iterator[Recorder]:  # noqa: ARG002 - the protocol's argument
        """Keeps nothing."""
        yield SilentRecorder()

    @contextmanager
    def of_fit(self, label: str, num_scans: int, epochs: int) -> Iterator[Recorder]:  # noqa: ARG002
        """Shows nothing."""
        yield SilentRecorder()
