"""``brainage plan``: measured costs of each stage, the plan they suggest, and what it promises."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch

from brainage.backbones.registry import build_stages
from brainage.config.plan import Planned
from brainage.core.allocator import keep_freed_memory
from brainage.core.compatibility import refuse_conflicts
from brainage.core.config import ObjectiveConfig
from brainage.core.plan.costs import NetworkCosts, TransferCosts
from brainage.core.plan.forecast import Forecast
from brainage.core.plan.measuring import measure_costs
from brainage.core.plan.neighbours import measure_neighbours
from brainage.core.plan.planner import Goal, Plan, Planner
from brainage.core.plan.schedules import Surroundings
from brainage.core.plan.simulation import SharedCores
from brainage.core.rules import RULES
from brainage.core.speed import SpeedCase, measure_steps
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device, describe_device
from brainage.errors import ConfigError
from brainage.workflows.plan_result import PlanResult, Projection, WholeSteps
from brainage.workflows.plan_tables import describe_plans

_log = logging.getLogger(__name__)

WIRE_THREADS = 2.0
"""Cores that a transfer between processes of one machine keeps busy: both ends copy."""
STEPS = 7
"""Whole steps timed, to see how well the stages add up."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What the user asks for.

    ``devices``: N; if None as many as blocks, without replicas. ``keep_blocks``: as many blocks as
    configured, with the cuts if these are configured. ``blocks``: numbers of blocks, each of which
    gets a plan; one block for each place where neither is given. ``simulate``: more numbers of
    devices to project to. ``gigabytes_per_second`` and ``latency_microseconds``: of the link
    between devices, measured here where not given. ``cores``: of this machine, for processes that
    share them.
    """

    devices: int | None = None
    goal: Goal = "time"
    keep_blocks: bool = False
    blocks: tuple[int, ...] = ()
    simulate: tuple[int, ...] = ()
    gigabytes_per_second: float | None = None
    latency_microseconds: float = 5.0
    cores: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlanSummary(PlanResult):
    """Result of ``brainage plan``, as commands show it."""

    exit_code = 0

    def describe(self) -> list[str]:
        """Tables for people."""
        return describe_plans(self)


def make_plan(
    planned: Planned, request: PlanRequest, *, report: Callable[[str], None] = _log.info
) -> PlanSummary:
    """Measure a network's stages on the device at hand and plan for more of them.

    Args:
        planned: the network, its rule and its batch.
        request: how many devices, and what for.
        report: told what is being measured.

    Raises:
        ConfigError: if the network does not fit, its rule is not an isolated one, or more devices
            are asked for than have anything to do.
        TrainingError: if a process that measures ends early.
    """
    wanted = _wanted(planned, request)
    case = _case(planned)
    if planned.keep_freed_memory and case.device == "cpu":
        keep_freed_memory()
    try:
        costs = measure_costs(case, report=report)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    most = max(devices for devices, _ in wanted)
    transfer, around = _surroundings(case, request, most, planned.keep_freed_memory, report)
    planner = Planner(
        costs,
        transfer,
        queue_depth=planned.parallel.queue_depth,
        wire_share=0.5 if planned.parallel.transport == "bfloat16" else 1.0,
        cuts=planned.blocks.cuts if request.keep_blocks else None,
        most_replicas=1 if request.devices is None else None,
    )
    projections = [
        _project(planner, planned, request.goal, (devices, num_blocks), around)
        for devices, num_blocks in wanted
    ]
    further = [
        _project(planner, planned, request.goal, (devices, None), None)
        for devices in request.simulate
    ]
    return PlanSummary(
        planned=planned,
        case=case,
        planner=planner,
        projections=tuple(projections),
        further=tuple(further),
        whole=_whole_steps(case, costs, projections[0].plan, report),
        around=around,
        device_name=_device_name(case),
    )


def _wanted(planned: Planned, request: PlanRequest) -> list[tuple[int, int | None]]:
    """Numbers of devices, each with the number of blocks if that is settled."""
    numbers: tuple[int | None, ...] = request.blocks or (None,)
    if request.keep_blocks:
        numbers = (planned.blocks.num_blocks,)
    wanted = [(request.devices or number or 1, number) for number in numbers]
    stages, size = planned.backbone.num_stages, planned.batch_size
    for devices, number in [*wanted, *((each, None) for each in request.simulate)]:
        blocks = number or stages
        if blocks > stages:
            raise ConfigError(
                f"--blocks: expected at most {stages}, the stages of {planned.backbone.name}, "
                f"got {blocks}"
            )
        if devices > blocks * size:
            raise ConfigError(
                f"--devices: expected at most {blocks * size} ({blocks} "
                f"{'blocks' if number else 'stages'}, each on one device for every sample of a "
                f"batch of {size}), got {devices}"
            )
    return wanted


def _project(
    planner: Planner,
    planned: Planned,
    goal: Goal,
    wanted: tuple[int, int | None],
    around: Surroundings | None,
) -> Projection:
    """The plan for so many devices with all predictions, here too where processes share cores."""
    devices, num_blocks = wanted
    try:
        plan = planner.plan(devices, goal, num_blocks)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    method = planned.objective.name
    rows = Forecast(planner, method).rows(plan, devices)
    here = Forecast(planner, method, around).rows(plan, devices) if around else []
    published = planned.published_speedup(plan.num_blocks) if num_blocks else None
    return Projection(devices, plan, tuple(rows), tuple(here), published)


def _surroundings(
    case: SpeedCase,
    request: PlanRequest,
    num_devices: int,
    keep_memory: bool,
    report: Callable[[str], None],
) -> tuple[TransferCosts, Surroundings | None]:
    """The link between devices; and this machine's cores, where its processes share them."""
    if request.gigabytes_per_second is not None:
        per_byte = 1e-9 / request.gigabytes_per_second
        latency = request.latency_microseconds * 1e-6
        return TransferCosts(latency, per_byte, "as given"), None
    if case.device != "cpu":
        pair = max(2, min(num_devices, torch.cuda.device_count()))
        return measure_neighbours(case, pair, report=report).transfer, None
    threads = case.num_threads or 1
    places = (request.cores or len(os.sched_getaffinity(0))) / threads
    number = max(2, min(num_devices, int(places)))
    found = measure_neighbours(case, number, keep_memory=keep_memory, report=report)
    slowdown = found.slowdown if places >= number else 1.0  # on fewer cores they only take turns
    return found.transfer, Surroundings(SharedCores(places, slowdown), WIRE_THREADS / threads)


def _whole_steps(
    case: SpeedCase, costs: NetworkCosts, plan: Plan, report: Callable[[str], None]
) -> WholeSteps:
    """Steps of back-propagation and of the plan's blocks on one device, as a training run does."""
    report("whole steps on one device, to compare with the stages' sum")
    bp = replace(case, method="bp", objective=ObjectiveConfig(name="bp"))
    rule = replace(case, stage_counts=plan.stage_counts)
    threads = torch.get_num_threads()
    try:
        measured = [each.median for each in measure_steps([bp, rule], STEPS)]
    finally:
        torch.set_num_threads(threads)
    added = sum(
        costs.block_times(first, stop, costs.batch_size).total
        for first, stop in pairwise((0, *plan.cuts, plan.num_stages))
    )
    return WholeSteps(measured[0], costs.network_times(costs.batch_size).total, measured[1], added)


def _case(planned: Planned) -> SpeedCase:
    """The whole network on one device, as one block."""
    rule = RULES[planned.objective.name]
    if rule.scope != "block" or rule.sequential or rule.contrasts:
        raise ConfigError(
            "objective.name: expected a rule whose blocks train side by side (lfnn_l, dgl, "
            f"predsim), got {planned.objective.name}; --set objective.name=lfnn_l plans for LFNN-l"
        )
    try:
        device = choose_device(planned.device)
        refuse_conflicts(planned.task, planned.objective, planned.heads, planned.engine)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return SpeedCase(
        method=planned.objective.name,
        backbone=planned.backbone.name,
        build_stages=partial(build_stages, planned.backbone, planned.input_shape, planned.seed),
        input_shape=planned.input_shape,
        batch_size=planned.batch_size,
        stage_counts=(planned.backbone.num_stages,),
        task=_task(planned),
        heads=planned.heads,
        objective=planned.objective,
        optimizer=planned.optimizer,
        engine=replace(planned.engine, recompute_activations=False, compile_blocks=False),
        device=str(device),
        num_threads=(planned.num_threads or 1) if device.type == "cpu" else planned.num_threads,
        seed=planned.seed,
    )


def _task(planned: Planned) -> Task:
    """A task of the right size; what it predicts does not change how long it takes."""
    classes = planned.task.name == "classification"
    targets = torch.tensor([0, 1]) if classes else torch.tensor([20.0, 80.0])
    return fit_task(planned.task, targets)


def _device_name(case: SpeedCase) -> str:
    if case.device == "cpu":
        return f"CPU, {case.num_threads} thread{'' if case.num_threads == 1 else 's'} a process"
    return describe_device(torch.device(case.device))
