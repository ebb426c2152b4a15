"""What processes on one machine cost each other: sending, and working at the same time.

Processes of their own are started, as many as shall run, because nothing else tells: two cores may
share caches, memory and clock, or be one core in disguise.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from brainage.core.allocator import keep_freed_memory
from brainage.core.plan.costs import TransferCosts
from brainage.core.speed import SpeedCase
from brainage.core.timing import synchronize
from brainage.errors import TrainingError

PATIENCE = timedelta(minutes=10)
"""A process that waits longer for another gives up."""
STEPS = 7
"""Timed steps of each process, after two that warm up."""
SMALL_MESSAGES = 100
LARGE_MESSAGES = 9
LARGE_BYTES = 16 * 2**20
"""Large enough that latency does not count, small enough to be quick on any link."""


@dataclass(frozen=True)
class Neighbours:
    """What was measured with several processes at once.

    ``alone`` and ``together``: median seconds of a training step of one process while the others
    wait, and while all work. ``num_processes``: how many.
    """

    transfer: TransferCosts
    alone: float
    together: float
    num_processes: int

    @property
    def slowdown(self) -> float:
        """How much longer a step takes when all work; 1 where it takes no longer."""
        return max(1.0, self.together / self.alone)


@dataclass(frozen=True)
class _Member:
    """What one process has to know."""

    case: SpeedCase
    rank: int
    size: int
    meeting_point: str
    keep_memory: bool


def measure_neighbours(
    case: SpeedCase,
    num_processes: int,
    *,
    keep_memory: bool = True,
    report: Callable[[str], None] = lambda _: None,
) -> Neighbours:
    """Start so many processes, let them send to each other and train side by side.

    Args:
        case: what each trains; of several accelerators each process takes one.
        num_processes: two at least.
        keep_memory: whether processes keep freed memory, as training does.
        report: told what is being measured.

    Raises:
        TrainingError: if a process ends early, for lack of memory for example.
    """
    report(f"transfer between {num_processes} processes, and their steps side by side")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting_point = (Path(folder) / "meeting").as_uri()
        members = [
            _Member(case, rank, num_processes, meeting_point, keep_memory)
            for rank in range(num_processes)
        ]
        try:
            with ProcessPoolExecutor(num_processes, mp_context=context) as pool:
                measured = list(pool.map(_take_part, members))
        except (BrokenProcessPool, dist.DistBackendError) as error:
            raise TrainingError(
                "a process that measured transfers ended early; give bandwidth and latency "
                f"instead, or lower the batch ({type(error).__name__})"
            ) from error
    return measured[0]


def _take_part(member: _Member) -> Neighbours:
    """One process: meet, send, work."""
    case = member.case
    device = _own_device(case.device, member.rank)
    if case.num_threads is not None:
        torch.set_num_threads(case.num_threads)
    if member.keep_memory and device.type == "cpu":
        keep_freed_memory()
    backend = "nccl" if device.type == "cuda" and torch.cuda.device_count() > 1 else "gloo"
    if backend == "gloo" and Path("/sys/class/net/lo").exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # needs no name service
    dist.init_process_group(
        backend,
        init_method=member.meeting_point,
        rank=member.rank,
        world_size=member.size,
        timeout=PATIENCE,
    )
    try:
        transfer = _measure_transfer(backend, device, member.rank)
        alone, together = _measure_steps(case, device, member.rank)
    finally:
        dist.destroy_process_group()
    return Neighbours(transfer, alone, together, member.size)


def _own_device(name: str, rank: int) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and rank < torch.cuda.device_count():
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    return device


def _measure_transfer(backend: str, device: torch.device, rank: int) -> TransferCosts:
    """Half of a round trip between the first two processes, for a small and a large message."""
    place = device if backend == "nccl" else torch.device("cpu")
    seconds = []
    for num_bytes, repeats in ((4, SMALL_MESSAGES), (LARGE_BYTES, LARGE_MESSAGES)):
        message = torch.zeros(num_bytes // 4, device=place)
        trips = []
        dist.barrier()
        for _ in range(repeats + 2):
            begun = time.perf_counter()
            if rank == 0:
                dist.send(message, 1)
                dist.recv(message, 1)
            elif rank == 1:
                dist.recv(message, 0)
                dist.send(message, 0)
            synchronize(device)
            trips.append((time.perf_counter() - begun) / 2)
        seconds.append(statistics.median(trips[2:]))
    latency, large = seconds
    per_byte = max(0.0, large - latency) / LARGE_BYTES
    return TransferCosts(latency, per_byte, f"{backend}, measured between two processes here")


def _measure_steps(case: SpeedCase, device: torch.device, rank: int) -> tuple[float, float]:
    """Median seconds of a step while the others wait, and while all work."""
    if device.type == "cuda":
        return 1.0, 1.0  # every process has an accelerator of its own
    engine, batch = case.build(), case.batch()

    def steps(number: int) -> Sequence[float]:
        seconds = []
        for step in range(number):
            begun = time.perf_counter()
            engine.train_step(batch, step, case.optimizer.learning_rate)
            synchronize(device)
            seconds.append(time.perf_counter() - begun)
        return seconds

    alone: Sequence[float] = steps(2)
    dist.barrier()
    if rank == 0:
        alone = steps(STEPS)
    dist.barrier()
    together = steps(STEPS)
    dist.barrier()
    return statistics.median(alone), statistics.median(together)
