"""Starts ranks as processes of this machine and brings back what each of them returns."""

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from brainage.core.ranks import join_ranks, leave_ranks

PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_ranks(
    world_size: int, function: Callable[..., Any], *arguments: Any, timeout_seconds: float = 30
) -> list[Any]:
    """What ``function(ranks, *arguments)`` returns on each rank; an exception where it raised.

    A rank that ends without a word, as a killed one does, gives its exit code.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.distributed.scenarios"])
    port = free_port()
    pipes, processes = [], []
    for rank in range(world_size):
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=_rank,
            args=((rank, world_size, port, timeout_seconds), there, function, arguments),
        )
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    results = [_result(pipe) for pipe in pipes]
    for process in processes:
        process.join(PATIENCE_SECONDS)
    return [
        process.exitcode if result is None else pickle.loads(result)
        for process, result in zip(processes, results, strict=True)
    ]


def _result(pipe: Connection) -> bytes | None:
    try:
        return pipe.recv_bytes() if pipe.poll(PATIENCE_SECONDS) else None
    except EOFError:
        return None


def _rank(
    place: tuple[int, int, int, float],
    pipe: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    rank, world_size, port, timeout_seconds = place
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    try:
        ranks = join_ranks(torch.device("cpu"), timeout_seconds)
        result = function(ranks, *arguments)
    except Exception as error:
        error.add_note(traceback.format_exc())
        result = error
    pipe.send_bytes(pickle.dumps(result))
    leave_ranks()
