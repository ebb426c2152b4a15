"""Ranks for tests: quick to start, and an exception stands in the place of a result."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from brainage.core.local_ranks import try_local_ranks

multiprocessing.get_context("forkserver").set_forkserver_preload(
    ["tests.distributed.scenarios", "tests.core.pipelined"]
)


def run_ranks(
    world_size: int, function: Callable[..., Any], *arguments: Any, timeout_seconds: float = 30
) -> list[Any]:
    """What ``function(ranks, *arguments)`` returns on each rank, or what it raised."""
    return try_local_ranks(
        world_size,
        function,
        *arguments,
        timeout_seconds=timeout_seconds,
        start_method="forkserver",
    )
