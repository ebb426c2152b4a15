"""The processes that train one network together, and the one that trains alone."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist

from brainage.errors import RankError

T = TypeVar("T")

PATIENCE = timedelta(days=30)
"""How long ranks wait where one of them works and the others have nothing to do."""


class Ranks(Protocol):
    """Processes that know one another, numbered from 0; rank 0 speaks for all."""

    @property
    def rank(self) -> int:
        """Number of this one."""

    @property
    def world_size(self) -> int:
        """How many there are."""

    def gather(self, value: T) -> list[T]:
        """Everyone's value, by rank, on every rank. All have to call it."""


class Alone:
    """A single process."""

    rank = 0
    world_size = 1

    def gather(self, value: T) -> list[T]:
        """Its own value."""
        return [value]


class ProcessRanks:
    """The processes of ``torch.distributed``, once they have joined.

    Small values travel over a group of their own, on CPUs and without haste: whoever has to wait
    for them may be waiting for hours of preprocessing. A process that dies is noticed anyway.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE)

    def gather(self, value: T) -> list[T]:
        """Everyone's value, by rank, on every rank.

        Raises:
            RankError: if another rank is gone.
        """
        values: list[T | None] = [None] * self.world_size
        try:
            dist.all_gather_object(values, value, group=self._group)
        except RuntimeError as error:
            raise RankError(
                f"rank {self.rank}: another rank is gone: {short_reason(error)}"
            ) from error
        return values  # type: ignore[return-value]


def first_of_all(ranks: Ranks, make: Callable[[], T]) -> T:
    """What rank 0 makes, on every rank.

    Raises:
        Exception: what ``make`` raised, on rank 0; a ``RankError`` on the others.
    """
    made: tuple[T, ...] = ()
    try:
        if ranks.rank == 0:
            made = (make(),)
    finally:
        of_first = ranks.gather(made)[0]
    if not of_first:
        raise RankError(f"rank {ranks.rank}: rank 0 could not go on")
    return of_first[0]


def is_launched() -> bool:
    """Whether a launcher such as torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def launched_rank() -> int:
    """This process's rank, as its launcher numbered it."""
    return int(os.environ.get("RANK", "0"))


def join_ranks(device: torch.device, timeout_seconds: float, **place: Any) -> ProcessRanks:
    """Meet the other processes.

    Args:
        device: of this rank; features travel over NCCL between accelerators, over gloo otherwise.
        timeout_seconds: a rank that waits longer for a peer's features gives up.
        place: ``init_method``, ``rank`` and ``world_size``; the launcher's by default.

    Raises:
        RankError: if they cannot be reached.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        if not dist.is_initialized():
            dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds), **place)
        return ProcessRanks()
    except (RuntimeError, ValueError) as error:
        raise RankError(
            f"rank {launched_rank()}: the other ranks cannot be reached: {short_reason(error)}"
        ) from error


def leave_ranks() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def device_of_rank(name: str) -> torch.device:
    """The device of this rank: with several accelerators on a machine, one each.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ValueError: if there are fewer accelerators than ranks on this machine.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    available = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and available == 0):
        return torch.device("cpu")
    if local >= available:
        raise ValueError(
            f"trainer.device: rank {launched_rank()} is number {local + 1} on this machine, which "
            f"has {available} accelerators; start fewer, or set trainer.device to cpu"
        )
    return torch.device("cuda", local)


def short_reason(error: BaseException) -> str:
    """What went wrong, without the place in a library's source and its advice."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"^\[[^\]]*\]\s*", "", line).partition(". ")[0]
