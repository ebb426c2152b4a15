"""Ranks as processes of this machine, for measurements and tests: one function, run by all."""

import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from brainage.core.ranks import ProcessRanks, join_ranks, leave_ranks
from brainage.errors import RankError

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else {}
"""Environment with which ranks of one machine need no name service to find one another."""


def run_local_ranks(
    world_size: int, function: Callable[..., Any], *arguments: Any, **options: Any
) -> list[Any]:
    """What every rank returns, by rank; arguments as for ``try_local_ranks``.

    Raises:
        Exception: what the first rank that failed raised.
        RankError: if a rank died without a word; it is named.
    """
    results = try_local_ranks(world_size, function, *arguments, **options)
    deaths = [result for result in results if isinstance(result, _DeathError)]
    failures = [result for result in results if isinstance(result, Exception)]
    if deaths:
        raise deaths[0]
    if failures:
        raise failures[0]
    return results


class _DeathError(RankError):
    """A rank that ended without a word."""


def try_local_ranks(
    world_size: int,
    function: Callable[..., Any],
    *arguments: Any,
    device: str = "cpu",
    timeout_seconds: float = 600.0,
    start_method: str = "spawn",
) -> list[Any]:
    """Run ``function(ranks, *arguments)`` on every rank, with one thread each.

    Args:
        world_size: processes to start.
        function: can be pickled, as can arguments and results.
        arguments: the same for all.
        device: ``cpu``, or ``cuda`` for an accelerator each.
        timeout_seconds: a rank that waits longer for another one gives up.
        start_method: of ``multiprocessing``.

    Returns:
        What each rank returned, by rank, or the exception that it ended with.
    """
    context = multiprocessing.get_context(start_method)
    with tempfile.TemporaryDirectory() as folder:
        meeting_point = (Path(folder) / "meeting").as_uri()
        pipes: list[Connection] = []
        processes: list[BaseProcess] = []
        for rank in range(world_size):
            here, there = context.Pipe(duplex=False)
            member = _Member(rank, world_size, meeting_point, device, timeout_seconds)
            process = context.Process(  # type: ignore[attr-defined]
                target=member.run, args=(there, function, arguments), daemon=True
            )
            process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
        results = [_result(pipe) for pipe in pipes]
        for process in processes:
            process.join()
    return [
        _DeathError(f"rank {rank} ended with exit code {process.exitcode}")
        if result is None
        else pickle.loads(result)  # noqa: S301 - what our own process has written
        for rank, (process, result) in enumerate(zip(processes, results, strict=True))
    ]


def _result(pipe: Connection) -> bytes | None:
    try:
        return pipe.recv_bytes()
    except EOFError:  # the process is gone
        return None


class _Member:
    """One process."""

    def __init__(
        self, rank: int, size: int, meeting_point: str, device: str, timeout_seconds: float
    ) -> None:
        self.rank = rank
        self.size = size
        self.meeting_point = meeting_point
        self.device = device
        self.timeout_seconds = timeout_seconds

    def run(self, pipe: Connection, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        """Meet the others, do what is asked, and send back the result or what went wrong."""
        for name, value in LOOPBACK.items():
            os.environ.setdefault(name, value)
        torch.set_num_threads(1)
        try:
            result = function(self._join(), *arguments)
        except Exception as error:
            result = error
        pipe.send_bytes(pickle.dumps(result))
        if isinstance(result, Exception):
            time.sleep(0.2)  # those who wait for this rank shall not fail before it has said why
        leave_ranks()

    def _join(self) -> ProcessRanks:
        device = torch.device(self.device)
        if device.type == "cuda":
            device = torch.device("cuda", self.rank)
            torch.cuda.set_device(device)
        return join_ranks(
            device,
            self.timeout_seconds,
            init_method=self.meeting_point,
            rank=self.rank,
            world_size=self.size,
        )
