"""What of a run may leave its folder: no path that could name a person, no table of single scans.

A tracking server and a model registry are read by more people than a run's folder is. Paths of a
laboratory's files often hold names, so a setting goes out as its last part only, and in files that
are sent the same paths are replaced. Tables with a row for each scan stay, also those within a
page, unless they are asked for.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import escape

from brainage.core.types import Scalar

PER_SCAN_TABLES = ("*predictions*.csv", "held_out*.csv")
TEXT_SUFFIXES = frozenset({".csv", ".html", ".json", ".md", ".svg", ".txt", ".yaml", ".yml"})
# The pages of ``brainage.reporting`` put these around tables with a row for each scan.
_SINGLE_SCANS = re.compile(r"<!-- single scans -->.*?<!-- end of single scans -->", re.DOTALL)
_INSTEAD = '<p class="note">Rows of single scans stay in the run\'s folder.</p>'
_SHORTEST_NAME = 4


class Sharing:
    """Learns from a run's own reports which strings stay here, and takes them out of what is sent.

    Args:
        predictions: whether tables with a row for each scan are sent.
    """

    def __init__(self, *, predictions: bool) -> None:
        self._predictions = predictions
        self._replacements: dict[str, str] = {}

    def parameters(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The settings with paths cut down to their last part."""
        for value in values.values():
            if isinstance(value, str) and _is_path(value):
                self._replace(value, last_part(value))
        return {
            key: last_part(value) if isinstance(value, str) and _is_path(value) else value
            for key, value in values.items()
        }

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Learn where the run's folder was, which files in it may hold."""
        if kind == "run":
            for name in ("folder", "resolved_folder"):
                self._replace(str(fields[name]), last_part(str(fields[name])))

    def is_kept_here(self, path: Path) -> bool:
        """Whether a file is not sent at all."""
        return not self._predictions and any(path.match(table) for table in PER_SCAN_TABLES)

    def copy(self, path: Path, target: Path) -> None:
        """Copy a file to send it, without the strings that stay here.

        Raises:
            OSError: if it cannot be read or the copy not written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() not in TEXT_SUFFIXES:
            shutil.copyfile(path, target)
            return
        text = path.read_text(encoding="utf-8")
        target.write_text(self.text(text), encoding="utf-8")

    def text(self, text: str) -> str:
        """The text without what stays here, however HTML, JSON or YAML writes it."""
        if not self._predictions:
            text = _SINGLE_SCANS.sub(_INSTEAD, text)
        for private in sorted(self._replacements, key=len, reverse=True):
            public = self._replacements[private]
            for written in _ways_to_write(private):
                text = re.sub(written, lambda _: public, text)  # noqa: B023 - used at once
        return text

    def _replace(self, private: str, public: str) -> None:
        if len(private) >= _SHORTEST_NAME and private != public:
            self._replacements[private] = public


def last_part(path: str) -> str:
    """A path's file or folder name; an address without its password is left as it is."""
    if "://" in path and not path.startswith(("sqlite:", "file:")):
        return without_password(path)
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def without_password(text: str) -> str:
    """The text with the user and password of every address in it left out."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _ways_to_write(text: str) -> set[str]:
    """Patterns that find a string in a file: YAML may break a line at its spaces."""
    written = {
        text,
        str(escape(text)),
        text.replace("'", "''"),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
    }
    return {r"\s+".join(re.escape(word) for word in each.split(" ")) for each in written}


def _is_path(value: str) -> bool:
    return ("/" in value or "\\" in value) and not value.startswith("[")
