"""Do tasks in processes of their own, one process for each, some at a time.

Each starts fresh, so that its memory is its own and one that dies costs only its task.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

import torch.multiprocessing

T = TypeVar("T")
R = TypeVar("R")
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Died:
    """A process that ended without a result."""

    exit_code: int | None

    @property
    def reason(self) -> str:
        """For people."""
        return (
            f"its process ended with exit code {self.exit_code} (-9: killed, often for lack of "
            "memory; it is tried again on resuming, better with fewer jobs)"
        )


@dataclass
class _Running(Generic[T]):
    task: T
    process: SpawnProcess
    connection: Connection


def in_processes(
    tasks: Sequence[T], function: Callable[[T, Any], R], shared: Any, jobs: int
) -> Iterator[tuple[T, R | Died]]:
    """Results as they come, each with its task.

    Args:
        tasks: sent to their processes, so they have to be picklable.
        function: called there with a task and ``shared``; of a module, not a closure.
        shared: sent to all; tensors in it are shared, not copied, if their memory is shared.
        jobs: processes at a time.

    Raises:
        Exception: what the function raised in a process; the others are ended.
    """
    context = torch.multiprocessing.get_context("spawn")
    waiting = deque(tasks)
    running: list[_Running[T]] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.popleft()
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, function, task, shared), daemon=True
                )
                process.start()
                theirs.close()  # its end shows as the end of the stream then
                running.append(_Running(task, process, ours))
            ready = wait([each.connection for each in running])
            for each in [each for each in running if each.connection in ready]:
                running.remove(each)
                yield each.task, _result(each)
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.join(_SECONDS_TO_END)


def _result(running: _Running[Any]) -> Any:
    try:
        answer = running.connection.recv()
    except (EOFError, OSError):
        running.process.join(_SECONDS_TO_END)
        return Died(running.process.exitcode)
    running.process.join(_SECONDS_TO_END)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(
    connection: Connection, function: Callable[[Any, Any], Any], task: Any, shared: Any
) -> None:
    """Body of a process. Ctrl-C reaches the whole group; the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer = function(task, shared)
    except Exception as error:  # handed to the parent, whatever it is
        answer = error
    connection.send(answer)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
