"""``brainage plan``: measured costs of each stage, the plan they suggest, and what it promises."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from brainage.config.plan import Planned
from brainage.core.allocator import keep_freed_memory
from brainage.core.plan.forecast import Forecast
from brainage.core.plan.measuring import measure_costs
from brainage.core.plan.planner import Goal, Planner
from brainage.core.plan.schedules import Surroundings
from brainage.errors import ConfigError
from brainage.workflows.plan.case import (
    PlanRequest,
    device_name,
    plan_case,
    surroundings,
    whole_steps,
)
from brainage.workflows.plan.result import PlanResult, Projection
from brainage.workflows.plan.tables import describe_plans

_log = logging.getLogger(__name__)


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
    case = plan_case(planned)
    if planned.keep_freed_memory and case.device == "cpu":
        keep_freed_memory()
    try:
        costs = measure_costs(case, seconds=request.seconds, report=report)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    most = max(devices for devices, _ in wanted)
    transfer, around = surroundings(case, request, most, planned.keep_freed_memory, report)
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
    configured = None
    if not request.blocks and not request.keep_blocks:
        configured = _as_configured(planner, planned, request)
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
        configured=configured,
        whole=whole_steps(case, costs, projections[0].plan, report),
        around=around,
        device_name=device_name(case),
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


def _as_configured(planner: Planner, planned: Planned, request: PlanRequest) -> Projection | None:
    """The plan with the blocks that the configuration has, if they can be laid over the devices."""
    assert request.devices is not None
    settled = replace(planner, cuts=planned.blocks.cuts)
    wanted = request.devices, planned.blocks.num_blocks
    try:
        return _project(settled, planned, request.goal, wanted, None)
    except ConfigError:
        return None
