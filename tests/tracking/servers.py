"""A real ``mlflow server`` for tests, on a free port of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tracking.stores import new_store

START_SECONDS = 90.0


class Server:
    """A running server; its store and its artifacts lie in ``folder``.

    Args:
        folder: made when needed; a store in it is used again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "mlflow.db").exists():
            new_store(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> str:
        """The URI of the database behind the server."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def start(self) -> None:
        """Start it and wait until it answers; also again after it was killed."""
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", "1", "--backend-store-uri", self.store,
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """End it and its workers at once, as a crash does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections and never answer, as a machine that swaps does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """A server that answers, ended behind the context."""
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
