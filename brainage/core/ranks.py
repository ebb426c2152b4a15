"""The processes that train one network together, and the one that trains alone."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

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

    def gather(self, value: T, *, patient: bool = False) -> list[T]:
        """Everyone's value, by rank, on every rank. All have to call it."""


class Alone:
    """A single process."""

    rank = 0
    world_size = 1

    def gather(self, value: T, *, patient: bool = False) -> list[T]:  # noqa: ARG002
        """Its own value."""
        return [value]


class ProcessRanks:
    """The processes of ``torch.distributed``, once they have joined.

    Small values travel on CPUs.

    Args:
        timeout_seconds: after which a rank that does not answer counts as hung.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()
        patience = timedelta(seconds=timeout_seconds)
        self._group = dist.new_group(backend="gloo", timeout=patience)
        self._patient_group = dist.new_group(backend="gloo", timeout=PATIENCE)

    def gather(self, value: T, *, patient: bool = False) -> list[T]:
        """Everyone's value, by rank, on every rank.

        Args:
            value: this rank's.
            patient: whether the others may be busy for hours, as rank 0 is with preprocessing. One
                that dies is noticed all the same.

        Raises:
            RankError: if another rank is gone or hangs.
        """
        values: list[T | None] = [None] * self.world_size
        try:
            group = self._patient_group if patient else self._group
            dist.all_gather_object(values, value, group=group)
        except RuntimeError as error:
            reason = short_reason(error)
            raise RankError(f"rank {self.rank}: another rank is gone or hangs: {reason}") from error
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
            place = place or _place_by_launcher()
            dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds), **place)
        return ProcessRanks(timeout_seconds)
    except (RuntimeError, ValueError) as error:
        raise RankError(
            f"rank {launched_rank()}: the other ranks cannot be reached: {short_reason(error)}"
        ) from error


def _place_by_launcher() -> dict[str, Any]:
    """Where ranks that a launcher started meet.

    After a restart the store still holds addresses of processes that have died; each attempt gets
    keys of its own.
    """
    store, rank, world_size = next(iter(rendezvous("env://")))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return {
        "store": PrefixStore(f"brainage/attempt_{attempt}", store),
        "rank": rank,
        "world_size": world_size,
    }


def leave_ranks() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def device_of_rank(name: str) -> torch.device:
    """The device of this rank: with several accelerators on a machine, one each.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ValueError: if there are fewer accelerators than ranks on this machine; as `choose_device`.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    available = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and available == 0):
        return torch.device("cpu")
    if local >= available:
        raise ValueError(
            f"rank {launched_rank()} is number {local + 1} on this machine, which has {available} "
            "accelerators; start fewer, or set trainer.device to cpu"
        )
    return torch.device("cuda", local)


def short_reason(error: BaseException) -> str:
    """What went wrong, without the place in a library's source and its advice."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"^\[[^\]]*\]\s*", "", line).partition(". ")[0]
