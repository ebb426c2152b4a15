"""What processes on one machine cost each other: sending, and working at the same time.

Processes of their own are started, as many as shall run, because nothing else tells: two cores may
share caches, memory and clock, or be one core in disguise.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist

from brainage.core.allocator import keep_freed_memory
from brainage.core.local_ranks import run_local_ranks
from brainage.core.plan.costs import TransferCosts
from brainage.core.ranks import ProcessRanks
from brainage.core.speed import SpeedCase
from brainage.core.timing import STILL_LEARNING_RATE, synchronize
from brainage.errors import RankError, TrainingError

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


def measure_neighbours(
    case: SpeedCase,
    num_processes: int,
    *,
    keep_memory: bool = True,
    report: Callable[[str], None] = lambda _: None,
) -> Neighbours:
    """Start so many processes, let them send to each other and train side by side.

    Between accelerators messages go over NCCL, where there are two; from a single one, and on a
    CPU, over gloo.

    Args:
        case: what each trains.
        num_processes: two at least.
        keep_memory: whether processes keep freed memory, as training does.
        report: told what is being measured.

    Raises:
        TrainingError: if a process ends early, for lack of memory for example.
    """
    report(f"transfer between {num_processes} processes, and their steps side by side")
    several = torch.device(case.device).type == "cuda" and torch.cuda.device_count() > 1
    device = "cuda" if several else "cpu"
    try:
        measured = run_local_ranks(
            num_processes, _take_part, case, device, keep_memory, device=device
        )
    except RankError as error:
        raise TrainingError(
            "a process that measured transfers ended early, perhaps for lack of memory; give "
            f"--gigabytes-per-second instead, or lower the batch ({error})"
        ) from error
    found = measured[0]
    assert isinstance(found, Neighbours)
    return found


def _take_part(ranks: ProcessRanks, case: SpeedCase, device: str, keep_memory: bool) -> Neighbours:
    """One process: send, work."""
    if case.num_threads is not None:
        torch.set_num_threads(case.num_threads)
    if keep_memory and device == "cpu":
        keep_freed_memory()
    transfer = _measure_transfer(ranks.rank, torch.device(device))
    alone = together = 1.0  # an accelerator of its own each
    if torch.device(case.device).type == "cpu":
        alone, together = _measure_steps(ranks.rank, case)
    return Neighbours(transfer, alone, together, ranks.world_size)


def _measure_transfer(rank: int, device: torch.device) -> TransferCosts:
    """Half of a round trip between the first two processes, for a small and a large message."""
    seconds = []
    for num_bytes, repeats in ((4, SMALL_MESSAGES), (LARGE_BYTES, LARGE_MESSAGES)):
        message = torch.zeros(num_bytes // 4, device=device)
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
    backend = "gloo" if device.type == "cpu" else "nccl"
    return TransferCosts(latency, per_byte, f"{backend}, measured between two processes here")


def _measure_steps(rank: int, case: SpeedCase) -> tuple[float, float]:
    """Median seconds of a step while the others wait, and while all work."""
    engine, batch = case.build(), case.batch()

    def steps(number: int) -> float:
        seconds = []
        for step in range(number):
            begun = time.perf_counter()
            engine.train_step(batch, step, STILL_LEARNING_RATE)
            seconds.append(time.perf_counter() - begun)
        return statistics.median(seconds)

    alone = steps(2)
    dist.barrier()
    if rank == 0:
        alone = steps(STEPS)
    dist.barrier()
    together = steps(STEPS)
    dist.barrier()
    return alone, together
