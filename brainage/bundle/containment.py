"""A model is its own folder: nothing in it may stand for a file somewhere else.

A bundle may come from anybody. Its files have fixed names, and no name out of ``model.yaml`` is
ever opened; what is left are links, which would let it read what the user can read.
"""

import os
from pathlib import Path

from brainage.errors import BundleError


def check_contained(folder: Path) -> None:
    """Refuse a link, to a file or a folder, that leads out of the model's folder.

    The folder itself may be reached by a link: that is the user's own choice.

    Raises:
        BundleError: names the link and where it leads.
    """
    root = folder.resolve()
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(parent) / name
            if path.is_symlink() and not _resolved(path).is_relative_to(root):
                raise BundleError(
                    f"{path}: a link to {path.readlink()}, outside the model's folder; a model "
                    "holds its own files: copy it with 'cp -rL' if you trust where it leads"
                )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return Path(os.sep)
