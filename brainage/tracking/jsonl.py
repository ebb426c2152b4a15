"""The run's own record: one JSON object per line in ``events.jsonl``, written as it happens.

Each line is ``{"time": UTC ISO 8601, "kind": ..., "fields": {...}}``. Kinds written by the recorder
itself are ``parameters`` (fields: the settings), ``metrics`` (``step`` and ``values``),
``artifact`` (``path`` and ``folder``) and ``closed`` (``status``); all others are events. The path
of what lies in the record's own folder starts there, so that the folder can move. JSON has no NaN
or infinity: they are written as the strings ``nan``, ``inf`` and ``-inf``, which ``float`` reads
back.
"""

import json
import logging
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from brainage.core.types import Scalar
from brainage.errors import RunFolderError

RESERVED_KINDS = frozenset({"parameters", "metrics", "artifact", "closed"})

_log = logging.getLogger(__name__)


class Event(NamedTuple):
    """One line of ``events.jsonl``; ``time`` is in UTC."""

    time: datetime
    kind: str
    fields: dict[str, Any]


class JsonlRecorder:
    """A ``Recorder`` that appends every call to a file as one line.

    A line is handed to the operating system in one write, so a killed process leaves at most one
    torn line, the last; a resumed run goes on behind it.

    Args:
        path: the file; it is created, or continued when it exists.

    Raises:
        RunFolderError: if the file cannot be opened or, later, written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            if _ends_in_torn_line(self._descriptor):
                os.write(self._descriptor, b"\n")
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from error

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Append the settings of the run."""
        self._append("parameters", dict(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Append numbers at one point of the run."""
        self._append("metrics", {"step": step, "values": dict(values)})

    def event(self, kind: str, **fields: Scalar) -> None:
        """Append something that happened; ``kind`` is none of ``RESERVED_KINDS``."""
        assert kind not in RESERVED_KINDS, kind
        self._append(kind, fields)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Append the path of a result."""
        here = self.path.parent.resolve()
        known = path.resolve()
        named = known.relative_to(here) if known.is_relative_to(here) else path
        self._append("artifact", {"path": str(named), "folder": folder})

    def close(self, status: str) -> None:
        """Append how the run ended and close the file; a second call does nothing."""
        if self._descriptor is None:
            return
        self._append("closed", {"status": status})
        os.close(self._descriptor)
        self._descriptor = None

    def _append(self, kind: str, fields: Mapping[str, Any]) -> None:
        assert self._descriptor is not None, "the record is closed"
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "kind": kind, "fields": _finite(dict(fields))}
        data = json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written: {error.strerror}") from error
        if written != len(data):
            raise RunFolderError(f"{self.path}: cannot be written: the disk is full")


def read_events(path: Path) -> list[Event]:
    """Read ``events.jsonl`` back, in order.

    Lines that a killed process tore are left out, with one warning that counts them.

    Raises:
        RunFolderError: if the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
    parsed = [_parse(line) for line in lines if line.strip()]
    events = [event for event in parsed if event is not None]
    if len(events) < len(parsed):
        _log.warning("%s: left out %d torn line(s)", path, len(parsed) - len(events))
    return events


def _parse(line: bytes) -> Event | None:
    """The event of a line, or None for a torn one."""
    try:
        entry = json.loads(line.decode())
        return Event(datetime.fromisoformat(entry["time"]), entry["kind"], entry["fields"])
    except (ValueError, KeyError, TypeError):
        return None


def _finite(value: Any) -> Any:
    """The value with every NaN and infinity, at any depth, as a string."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _ends_in_torn_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
