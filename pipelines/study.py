"""What studies share: their command, rows kept as they come, and means with their intervals."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.data.config import DATA_VARIABLE
from brainage.reporting import comparison_statistics

Floats = npt.NDArray[np.float64]


def command_line(module: str, arguments: Sequence[str] | None) -> str:
    """The command that a result is made again with, as it was given.

    What lies below the folder that ``BRAINAGE_DATA`` names is told with that name.

    Args:
        module: that was started, ``pipelines.mnist_mlp``.
        arguments: behind it; None takes those of this process.
    """
    folder = (os.environ.get(DATA_VARIABLE) or "-").rstrip("/")
    words = []
    for word in sys.argv[1:] if arguments is None else arguments:
        below = f"{word}/".startswith(f"{folder}/")
        rest = word.removeprefix(folder)
        words.append(
            f"${DATA_VARIABLE}{rest and shlex.quote(rest)}" if below else shlex.quote(word)
        )
    return " ".join(["python", "-m", module, *words])


class KeptRows:
    """Rows of a study in a file of JSON lines, found again by a key.

    An interrupted study goes on where it stopped; a last line that was cut off is made again.

    Args:
        path: need not exist.
        key: columns that tell rows apart.
    """

    def __init__(self, path: Path, key: tuple[str, ...]) -> None:
        self.path = path
        self._key = key
        self._known: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        for row in map(json.loads, whole.splitlines()):
            if all(column in row for column in key):  # else of a study that had another key
                self._known[self._name(row)] = row

    def find_or_make(
        self, key: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The row of this key, from the file or made and kept there."""
        name = self._name(key)
        if name not in self._known:
            row = {**key, **make()}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            self._known[name] = json.loads(json.dumps(row))
        return self._known[name]

    def _name(self, row: Mapping[str, Any]) -> str:
        return json.dumps([row[column] for column in self._key])


def mean_with_interval(values: Floats, subjects: npt.ArrayLike) -> dict[str, float | None]:
    """``mean`` of values (N,) and its 95 % bootstrap interval over subjects, ``low`` to ``high``.

    Values of one subject are drawn together. No interval with fewer than three subjects.
    """
    names = [str(subject) for subject in np.asarray(subjects)]
    found = comparison_statistics.mean_with_interval(values, names)
    return {"mean": found.value, "low": found.low, "high": found.high}
