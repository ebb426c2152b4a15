"""A guard that sits in every process of a command: what goes to the network fails, and is noted."""

import os
import subprocess
import sys
from pathlib import Path

# Python imports a module of this name at its start, in processes that are spawned, too.
_SITECUSTOMIZE = """
import os, socket, sys

LOOPBACK = ("127.", "::1", "localhost")


def guard(owner, name, target_of):
    original = getattr(owner, name)

    def guarded(*words, **named):
        target = target_of(*words, **named)
        target = target.decode() if isinstance(target, bytes) else target
        if target is not None and not str(target).startswith(LOOPBACK):
            with open(os.environ["NETWORK_LOG"], "a") as log:
                log.write(f"{name} {target} by {sys.argv}\\n")
            raise PermissionError(f"no network here: {name} {target}")
        return original(*words, **named)

    setattr(owner, name, guarded)


def of_address(own, *words):
    return words[-1][0] if isinstance(words[-1], tuple) else None  # else a file: AF_UNIX


for name in ("bind", "connect", "connect_ex", "sendto"):
    guard(socket.socket, name, of_address)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    guard(socket, name, lambda host=None, *words, **named: host)
with open(os.environ["NETWORK_LOG"] + ".guarded", "a") as log:
    log.write("one more\\n")
"""


class Guarded:
    """Runs programs whose every process is guarded.

    Args:
        folder: an empty folder for the guard and its notes.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "network.log"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "NETWORK_LOG": str(self._log),
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self._environment.pop("MLFLOW_TRACKING_URI", None)
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)

    def run(self, program: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program's text to its end."""
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True, text=True, check=False, cwd=cwd, env=self._environment,
        )  # fmt: skip

    @property
    def attempts(self) -> list[str]:
        """What went to the network, from the first line on."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def num_processes(self) -> int:
        """Python processes that were guarded."""
        return len(self._log.with_suffix(".log.guarded").read_text().splitlines())
