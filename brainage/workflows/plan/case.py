"""What ``brainage plan`` measures with: one network as a case, its machine, its whole steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch

from brainage.backbones.registry import build_stages
from brainage.config.plan import Planned
from brainage.core.compatibility import refuse_conflicts
from brainage.core.config import ObjectiveConfig
from brainage.core.plan.costs import NetworkCosts, TransferCosts
from brainage.core.plan.here import measure_machine
from brainage.core.plan.measuring import SECONDS
from brainage.core.plan.planner import Goal, Plan
from brainage.core.plan.schedules import Surroundings
from brainage.core.rules import RULES
from brainage.core.speed import SpeedCase, measure_steps
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device, describe_device
from brainage.errors import ConfigError
from brainage.workflows.plan.result import WholeSteps

STEPS = 5
"""Whole steps timed, to see how well the stages add up."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What the user asks for.

    ``devices``: N; if None as many as blocks, without replicas. ``keep_blocks``: as many blocks as
    configured, with the cuts if these are configured. ``blocks``: numbers of blocks, each of which
    gets a plan; one block for each place where neither is given. ``simulate``: more numbers of
    devices to project to. ``gigabytes_per_second`` and ``latency_microseconds``: of the link
    between devices, measured here where not given. ``cores``: of this machine, for processes that
    share them. ``seconds``: for measuring stages, at least.
    """

    devices: int | None = None
    goal: Goal = "time"
    keep_blocks: bool = False
    blocks: tuple[int, ...] = ()
    simulate: tuple[int, ...] = ()
    gigabytes_per_second: float | None = None
    latency_microseconds: float = 5.0
    cores: int | None = None
    seconds: float = SECONDS


def surroundings(
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
    return measure_machine(
        case, num_devices, cores=request.cores, keep_memory=keep_memory, report=report
    )


def whole_steps(
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


def plan_case(planned: Planned) -> SpeedCase:
    """The whole network on one device, as one block."""
    rule = RULES[planned.objective.name]
    if rule.scope != "block" or rule.sequential or rule.contrasts:
        raise ConfigError(
            "objective.name: expected a rule whose blocks train side by side (lfnn_l, dgl, "
            f"predsim), got {planned.objective.name}; --set objective.name=lfnn_l plans for LFNN-l"
        )
    try:
        device = choose_device(planned.device)
    except ValueError as error:
        raise ConfigError(f"device: {error}") from error
    try:
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


def device_name(case: SpeedCase) -> str:
    """Of the device that was measured on, with its threads."""
    if case.device == "cpu":
        return f"CPU, {case.num_threads} thread{'' if case.num_threads == 1 else 's'} a process"
    return describe_device(torch.device(case.device))
