"""What processes of this machine are predicted to do, with its cores and links as measured."""

import os
from collections.abc import Callable

import torch

from brainage.core.placement import ParallelConfig, Placement
from brainage.core.plan.costs import TransferCosts
from brainage.core.plan.forecast import Forecast
from brainage.core.plan.measuring import SECONDS, measure_costs
from brainage.core.plan.neighbours import measure_neighbours
from brainage.core.plan.planner import Planner
from brainage.core.plan.predictions import Prediction
from brainage.core.plan.schedules import ALONE, Surroundings
from brainage.core.plan.simulation import SharedCores
from brainage.core.speed import SpeedCase

WIRE_THREADS = 2.0
"""Cores that a transfer between processes of one machine keeps busy: both ends copy."""

Report = Callable[[str], None]


def measure_machine(
    case: SpeedCase,
    num_devices: int,
    *,
    cores: int | None = None,
    keep_memory: bool = True,
    report: Report = lambda _: None,
) -> tuple[TransferCosts, Surroundings | None]:
    """The link between processes here; and the cores that they share, unless they have their own.

    Args:
        case: what every process trains.
        num_devices: processes that shall run.
        cores: that they share; all that this process may use if None.
        keep_memory: whether processes keep freed memory, as training does.
        report: told what is being measured.

    Raises:
        TrainingError: if a process that measures ends early.
    """
    if torch.device(case.device).type != "cpu":
        number = max(2, min(num_devices, torch.cuda.device_count()))
        return measure_neighbours(case, number, report=report).transfer, None
    threads = case.num_threads or 1
    places = (cores or _own_cores()) / threads
    number = max(2, min(num_devices, int(places)))
    found = measure_neighbours(case, number, keep_memory=keep_memory, report=report)
    slowdown = found.slowdown if places >= number else 1.0  # on fewer cores they only take turns
    return found.transfer, Surroundings(SharedCores(places, slowdown), WIRE_THREADS / threads)


def predict_here(
    case: SpeedCase,
    placement: Placement,
    parallel: ParallelConfig,
    *,
    cores: int | None = None,
    seconds: float = SECONDS,
    report: Report = lambda _: None,
) -> list[Prediction]:
    """Predictions for blocks that are cut and placed already, beside the other ways.

    Args:
        case: the network under an isolated rule, with its cuts and the threads of one process.
        placement: who trains which blocks.
        parallel: queues and transport.
        cores: that processes share; all that this process may use if None.
        seconds: for measuring stages, at least.
        report: told what is being measured.

    Raises:
        TrainingError: if a process that measures ends early.
    """
    costs = measure_costs(case, seconds=seconds, report=report)
    size = placement.world_size
    transfer, around = measure_machine(case, size, cores=cores, report=report)
    wire_share = 0.5 if parallel.transport == "bfloat16" else 1.0
    planner = Planner(costs, transfer, parallel.queue_depth, wire_share)
    plan = planner.plan_of(case.stage_counts, placement)
    return Forecast(planner, case.objective.name, around or ALONE).rows(plan, size)


def _own_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
