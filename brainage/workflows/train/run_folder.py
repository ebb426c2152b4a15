"""The folder of one run: where each result lies, and that only one process writes there."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from brainage.errors import ConfigError, RunFolderError

LOCK = ".lock"
"""File of a folder that one process holds."""


class RunFolder:
    """Paths of a run's results, held by one process at a time.

    Args:
        path: the folder; it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock(path)

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def model(self) -> Path:
        """The model bundle."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """Held-out metrics, the JSON that ``--json`` prints."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """The report's figures as files of their own."""
        return self.path / "figures"

    @property
    def held_out(self) -> Path:
        """Predictions of the held-out scans, one row each."""
        return self.path / "held_out_predictions.csv"

    @property
    def held_out_by_repeat(self) -> Path:
        """The same for every repeat by itself, where the folds were drawn several times."""
        return self.path / "held_out_by_repeat.csv"

    @property
    def predictions(self) -> Path:
        """Predictions of the scans in ``data.unseen``."""
        return self.path / "predictions.csv"

    def events_of(self, part: str | None) -> Path:
        """Record of the run, or of one of its parts when it has several."""
        folder = self.path if part is None else self.path / "parts" / part
        return folder / "events.jsonl"

    def checkpoints(self, part: str) -> Path:
        """Checkpoints of one part of the run: ``holdout``, ``fold1``, ..., ``final``."""
        return self.path / "checkpoints" / part

    def remember(self, **facts: Any) -> None:
        """Keep facts that a resumed run needs."""
        known = self.recall() | facts
        write_text(self.path / "run.json", json.dumps(known, indent=2) + "\n")

    def recall(self) -> dict[str, Any]:
        """The facts kept so far."""
        path = self.path / "run.json"
        if not path.exists():
            return {}
        try:
            known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{path}: damaged: {error}") from error
        return known

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.close()


def create_run_folder(runs: Path, name: str) -> RunFolder:
    """A new folder ``runs/name``; ``runs/name-2`` and so on when it exists.

    Raises:
        RunFolderError: if it cannot be created or written.
    """
    for number in range(1, 10_000):
        path = runs / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not path.is_dir():
                raise RunFolderError(f"{path}: is a file, not a folder for a run") from None
        except OSError as error:
            raise RunFolderError(f"{path}: cannot create it: {error.strerror}") from error
        else:
            return RunFolder(path)
    raise RunFolderError(f"{runs}: too many runs named {name}")


def open_run_folder(path: Path) -> RunFolder:
    """The folder of an interrupted run.

    Raises:
        RunFolderError: if there is no run in it, or another process uses it.
    """
    if not (path / "config.yaml").is_file():
        raise RunFolderError(f"{path}: no run to resume: config.yaml is not there")
    return RunFolder(path)


def begin_or_resume(
    runs: Path, name: str, resume: Path | None, *, content: str, same: Callable[[Path], bool]
) -> RunFolder:
    """A new folder with its configuration, or that of an interrupted run of the same one.

    Args:
        runs: where the new folder is made.
        name: of the new folder.
        resume: the folder of an interrupted run; None makes a new one.
        content: of the new folder's configuration file.
        same: whether a configuration file says what is wanted now.

    Raises:
        ConfigError: if the run to resume has another configuration.
        RunFolderError: if the folder cannot be used.
    """
    if resume is None:
        folder = create_run_folder(runs, name)
        write_text(folder.config, content)
        return folder
    folder = open_run_folder(resume)
    if not same(folder.config):
        folder.close()
        raise ConfigError(
            f"{folder.config}: the run to resume has another configuration; resume it with its "
            "own, without --config and --set"
        )
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a file under another name, then rename it.

    Raises:
        RunFolderError: if it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RunFolderError(f"{path}: cannot write: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _lock(path: Path) -> IO[str]:
    try:
        stream = (path / LOCK).open("a")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot write: {error.strerror}") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise RunFolderError(f"{path}: another process is using this run") from error
    return stream
