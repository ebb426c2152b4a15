"""Training steps of one network on several ranks, by several methods, side by side.

Inside the clock: steps after the first ones of every round, from the end of the last of those: the
pipeline is full, as it is but for the beginning of an epoch. A round runs every method in turn, the
processes that a method does not use wait meanwhile. The time of a step is the slowest rank's.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from brainage.core.allocator import keep_freed_memory, release_freed_memory
from brainage.core.build import build_chain
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engines import build_engine
from brainage.core.local_ranks import run_local_ranks
from brainage.core.objectives import Objective
from brainage.core.pipeline_1f1b import PipelineStepper
from brainage.core.placement import ParallelConfig, Placement
from brainage.core.ranks import Alone, ProcessRanks
from brainage.core.speed import SpeedCase
from brainage.core.timing import STILL_LEARNING_RATE, memory_above_start, synchronize
from brainage.core.types import Batch

RankMethod = Literal[
    "single", "threads", "checkpointed", "independent", "ddp", "blocks", "pipeline_1f1b"
]
"""How ranks are used. ``single``, ``checkpointed``: rank 0 alone, with one thread. ``threads``: it
has a thread for each rank. ``independent``: every rank trains a network of its own on batches of
its own, which is what the machine can give at best."""

FILLING_STEPS = 2
"""Steps of a round that fill the pipeline, outside the clock."""
MEMORY_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class RankCase:
    """One way to train one network on so many ranks.

    ``case`` describes network, rule and batch; its number of threads is that of a rank.
    ``placement`` is that of the ranks for ``blocks`` and ``pipeline_1f1b``. ``num_micro_batches``
    is the pipeline's m.
    """

    case: SpeedCase
    how: RankMethod
    world_size: int
    placement: Placement
    parallel: ParallelConfig
    num_micro_batches: int = 1

    @property
    def alone(self) -> bool:
        """Whether rank 0 works alone."""
        return self.how in {"single", "threads", "checkpointed"}


@dataclass(frozen=True)
class RankTimes:
    """Seconds of a step in every round, and each rank's highest memory above an idle process."""

    seconds: tuple[float, ...]
    peak_bytes: tuple[int, ...]


def measure_rank_cases(
    cases: Sequence[RankCase], *, rounds: int, steps: int, memory: bool = True
) -> list[RankTimes]:
    """Measure all cases: their memory in fresh processes, then their time in turn.

    Args:
        cases: for the same number of ranks and the same device.
        rounds: of all methods.
        steps: timed steps of each method in a round.
        memory: whether to measure it too.

    Raises:
        RankError: if a process died, for lack of memory for example.
    """
    world_size, device = cases[0].world_size, cases[0].case.device
    peaks = [
        tuple(run_local_ranks(1 if each.alone else world_size, _peak, each, device=device))
        if memory and each.how not in {"threads", "independent"}
        else ()
        for each in cases
    ]
    timed = run_local_ranks(world_size, _time, list(cases), rounds, steps, device=device)
    return [
        RankTimes(tuple(max(ranks) for ranks in zip(*of_ranks, strict=True)), peak)
        for of_ranks, peak in zip(zip(*timed, strict=True), peaks, strict=True)
    ]


class _Runner:
    """One rank's part in one case."""

    def __init__(self, case: RankCase, ranks: ProcessRanks | Alone) -> None:
        self.case = case
        self.ranks = ranks
        self.works = ranks.rank == 0 or not case.alone
        self.device = _device(case.case.device, ranks.rank)
        self.engine: SingleDeviceEngine | None = None
        self.pipeline: PipelineStepper | None = None
        if self.works:
            self._build()
            self.batch = self._batch()

    def _build(self) -> None:
        case = self.case.case
        chain = build_chain(
            case.build_stages(),
            case.stage_counts,
            case.input_shape,
            case.task,
            case.objective,
            heads=case.heads,
            seed=case.seed,
        )
        if self.case.how == "pipeline_1f1b":
            assert isinstance(self.ranks, ProcessRanks)
            self.pipeline = PipelineStepper(
                chain,
                case.task,
                case.optimizer,
                self.case.placement,
                self.ranks,
                device=self.device,
                num_micro_batches=self.case.num_micro_batches,
            )
            return
        self.engine = build_engine(
            chain,
            Objective(case.objective, case.task, len(case.stage_counts)),
            case.optimizer,
            device=self.device,
            seed=case.seed,
            config=case.engine,
            parallel=self.case.parallel,
            ranks=self.ranks if self.case.how in {"ddp", "blocks"} else None,
        )

    def _batch(self) -> Batch:
        whole = self.case.case.batch()
        rows = range(len(whole.targets)) if self.engine is None else self.engine.rows(
            len(whole.targets)
        )  # fmt: skip
        return Batch(whole.inputs[list(rows)].to(self.device), whole.targets.to(self.device))

    def run(self, first_step: int, steps: int) -> float:
        """Seconds of a step, after those that fill the pipeline; 0 for a rank that waits."""
        if not self.works:
            return 0.0
        threads = torch.get_num_threads()
        if self.case.how == "threads":
            torch.set_num_threads(self.case.world_size * threads)
        if self.engine is not None:
            self.engine.expect([len(self.batch.targets)] * (FILLING_STEPS + steps))
        begun = 0.0
        for step in range(FILLING_STEPS + steps):
            if step == FILLING_STEPS:
                synchronize(self.device)
                begun = time.perf_counter()
            if self.pipeline is not None:
                self.pipeline.train_step(self.batch, STILL_LEARNING_RATE)
            elif self.engine is not None:
                self.engine.train_step(self.batch, first_step + step, STILL_LEARNING_RATE)
        synchronize(self.device)
        seconds = time.perf_counter() - begun
        if self.engine is not None:
            self.engine.settle()
        torch.set_num_threads(threads)
        return seconds / steps


def _time(
    ranks: ProcessRanks, cases: Sequence[RankCase], rounds: int, steps: int
) -> list[list[float]]:
    """For every case the seconds of a step in each round, on this rank."""
    _prepare(cases[0])
    runners = [_Runner(case, ranks) for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for turn in range(rounds + 1):
        for runner, kept in zip(runners, seconds, strict=True):
            ranks.gather(None)
            took = runner.run(turn * (FILLING_STEPS + steps), steps)
            if turn > 0:  # the first round allocates memory and chooses kernels
                kept.append(took)
    return seconds


def _peak(ranks: ProcessRanks | Alone, case: RankCase) -> int:
    """Highest memory of this rank while it trains, above what it had with libraries alone.

    A network is built and dropped before: that imports what builds it.
    """
    case.case.build_stages()
    gc.collect()
    release_freed_memory()

    def train() -> None:
        _Runner(case, ranks).run(0, MEMORY_STEPS)

    return memory_above_start(_device(case.case.device, ranks.rank), train)


def _prepare(case: RankCase) -> None:
    torch.set_num_threads(case.case.num_threads or 1)
    if case.case.device == "cpu":
        keep_freed_memory()


def _device(name: str, rank: int) -> torch.device:
    device = torch.device(name)
    return torch.device("cuda", rank) if device.type == "cuda" else device
