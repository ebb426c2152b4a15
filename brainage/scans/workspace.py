"""A temporary folder for what archives hold, shared by a process and its children.

It is made when first needed and removed when the process that made it ends. What a killed process
left is removed by the next one: its lock is free. Scans are people's data, so only the user can
read the folder.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

_VARIABLE = "BRAINAGE_WORKSPACE"  # how children find their parent's folder
_PREFIX = "brainage-sources-"
_LOCK = ".in-use"

# The open lock file of the folder that this process made: the lock lasts as long as it is open.
_held: dict[Path, IO[bytes]] = {}


def workspace() -> Path:
    """The folder of this process, or of the parent that started it.

    Raises:
        OSError: if there is no room for temporary files.
    """
    inherited = os.environ.get(_VARIABLE)
    if inherited and Path(inherited, _LOCK).is_file():
        return Path(inherited)
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (folder / _LOCK).open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    _held[folder] = lock
    os.environ[_VARIABLE] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    """Remove the folder when its maker ends; a forked child leaves it to its parent."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
        _held.pop(folder).close()
        if os.environ.get(_VARIABLE) == str(folder):
            del os.environ[_VARIABLE]


def _remove_abandoned() -> None:
    """Remove folders whose maker is gone. One without a lock file is just being made."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
