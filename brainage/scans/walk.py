"""All files below a folder, in a fixed order."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """Files below a folder; linked folders are followed, once each, hidden ones skipped."""
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(parent))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(parent) / name) not in visited
        )
        yield from (Path(parent) / name for name in sorted(files))
