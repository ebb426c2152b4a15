"""The lines that ``brainage plan`` prints."""

import shlex
from collections.abc import Iterator, Sequence

import torch

from brainage.core.measure import activation_bytes
from brainage.core.plan.forecast import Forecast
from brainage.core.plan.planner import Plan
from brainage.core.plan.predictions import BASELINE, advice
from brainage.workflows.plan.result import PlanResult, Projection

NOTHING = "-"


def describe_plans(result: PlanResult) -> list[str]:
    """What was measured; then one plan with all its predictions, or several side by side."""
    parts = [_heading(result), _stages(result), _measured(result)]
    if len(result.projections) == 1:
        (projection,) = result.projections
        parts += [_places(result, projection), _settings(projection.plan)]
        parts += [_predictions(result, projection)]
    else:
        parts.append(_side_by_side(result, result.projections))
    if result.further:
        parts.append(_side_by_side(result, result.further))
    lines: list[str] = []
    for part in parts:
        lines += [*([""] if lines else []), *part]
    return lines


def _heading(result: PlanResult) -> Iterator[str]:
    case = result.case
    shape = "x".join(str(size) for size in case.input_shape)
    yield (
        f"{result.planned.name}: {case.backbone}, input {shape}, batch {case.batch_size}, "
        f"{case.engine.precision}, {case.method}; {result.device_name}, torch {torch.__version__}"
    )


def _stages(result: PlanResult) -> Iterator[str]:
    costs, size = result.planner.costs, result.case.batch_size
    yield "measured: milliseconds of a batch, medians after a warm-up. as first: backward of a"
    yield "block's first stage; head: workers, output head and losses of a block that ends there"
    yield (
        f"{'stage':>5} {'forward':>9} {'backward':>9} {'as first':>9} {'update':>8} {'head':>8} "
        f"{'+update':>8} {'parameters':>11} {'held, MB':>9} {'output, MB':>11}"
    )
    for index, (stage, head) in enumerate(zip(costs.stages, costs.heads, strict=True)):
        forward, backward = stage.forward.at(size), stage.backward.at(size)
        as_first, heads = (
            stage.backward_as_first.at(size),
            head.forward.at(size) + head.backward.at(size),
        )
        yield (
            f"{index + 1:>5} {1e3 * forward:>9.2f} {1e3 * backward:>9.2f} {1e3 * as_first:>9.2f} "
            f"{1e3 * stage.update:>8.2f} {1e3 * heads:>8.2f} {1e3 * head.update:>8.2f} "
            f"{stage.memory.num_parameters:>11,} {activation_bytes([stage.memory]) / 1e6:>9.1f} "
            f"{stage.memory.output_bytes / 1e6:>11.2f}"
        )


def _measured(result: PlanResult) -> Iterator[str]:
    whole, transfer = result.whole, result.planner.transfer
    blocks = _count(result.projections[0].plan.num_blocks, "block")
    yield (
        f"whole steps on one device, measured: bp {whole.bp:.4f} s (its stages add up to "
        f"{whole.bp_added:.4f}), {result.case.method} in {blocks} {whole.rule:.4f} s "
        f"({whole.rule_added:.4f})"
    )
    if whole.disturbed:
        yield "these differ: something else used the device; measure again when it is idle"
    rate = 1e-9 / transfer.seconds_per_byte if transfer.seconds_per_byte else float("inf")
    yield (
        f"transfer: {1e6 * transfer.latency_seconds:.0f} us and {rate:.2f} GB/s ({transfer.source})"
    )
    if result.around and (shared := result.around.shared):
        yield (
            f"this machine: its processes share {_count(shared.cores, 'core')}; a step takes "
            f"{shared.slowdown:.2f} times as long while every core works"
        )


def _places(result: PlanResult, projection: Projection) -> Iterator[str]:
    plan = projection.plan
    idle = projection.devices - plan.num_devices
    more = f" ({idle} of {projection.devices} would not help)" if idle else ""
    yield (
        f"plan for {_count(plan.num_devices, 'device')}{more}, best for {plan.goal}: "
        f"{_count(plan.num_blocks, 'block')}"
    )
    yield (
        f"{'place':>5} {'blocks':>7} {'stages':>8} {'devices':>8} {'busy, s':>9} {'send, s':>9} "
        f"{'memory, GB':>11}"
    )
    loads = Forecast(result.planner, result.case.method).loads(plan)
    for index, (place, load) in enumerate(zip(plan.places, loads, strict=True)):
        busy = max(rank.before_send + rank.after_send for rank in load.ranks) + load.all_reduce
        yield (
            f"{index + 1:>5} {place.num_blocks:>7} {f'{place.edges[0] + 1}-{place.edges[-1]}':>8} "
            f"{place.replicas:>8} {busy:>9.4f} {load.transfer:>9.4f} "
            f"{result.planner.place_bytes(place) / 1e9:>11.3f}"
        )


def _settings(plan: Plan) -> Iterator[str]:
    """Ready to paste: for the command line, and for a configuration."""
    settings = {key: _yaml(value) for key, value in plan.settings().items()}
    words = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in settings.items()]
    yield f"--devices {plan.num_devices} {' '.join(words)}"
    yield ""
    for section in ("blocks", "parallel"):
        inner = [
            f"{key.partition('.')[2]}: {value}"
            for key, value in settings.items()
            if key.startswith(f"{section}.")
        ]
        yield f"{section}: {{{', '.join(inner)}}}"


def _yaml(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) else f"[{','.join(map(str, value))}]"


def _predictions(result: PlanResult, projection: Projection) -> Iterator[str]:
    here = bool(projection.here)
    yield f"projected; speedup over {BASELINE}"
    shared = result.around.shared if result.around else None
    if here and shared:
        yield f"here: as processes on the {_count(shared.cores, 'core')} of this machine"
    yield (
        f"{'method':<10} {'engine':<14} {'devices':>7} {'step, s':>9} {'speedup':>8} "
        + (f"{'here, s':>9} {'speedup':>8} " if here else "")
        + f"{'memory, GB':>11} {'sent, MB':>9}"
    )
    for index, row in enumerate(projection.rows):
        extra = ""
        if here:
            same = projection.here[index]
            extra = f"{_number(same.step_seconds, 4):>9} {_number(same.speedup, 2):>8} "
        yield (
            f"{row.method:<10} {row.engine:<14} {row.devices:>7} "
            f"{_number(row.step_seconds, 4):>9} {_number(row.speedup, 2):>8} {extra}"
            f"{_number(row.peak_memory_bytes, 3, 1e9):>11} {_number(row.traffic_bytes, 2, 1e6):>9}"
            f"{f'  {row.note}' if row.note else ''}"
        )
    if (other := result.configured) and other.plan.num_blocks != projection.plan.num_blocks:
        cost = other.row("blocks").describe_cost(other.plan.goal)
        yield (
            f"with {_count(other.plan.num_blocks, 'block')}, as configured, blocks_per_place "
            f"{_yaml(other.plan.blocks_per_place)}: {cost} (plan it with --blocks config)"
        )
    yield ""
    yield advice(projection.rows, projection.plan.goal)
    if here:
        yield f"here: {advice(projection.here, projection.plan.goal)}"


def _side_by_side(result: PlanResult, projections: Sequence[Projection]) -> Iterator[str]:
    """One line for each number of devices or blocks."""
    method = result.case.method
    published = any(each.published is not None for each in projections)
    yield f"projected speedup over {BASELINE} (bp: {projections[0].rows[0].step_seconds:.4f} s)"
    yield (
        f"{'devices':>7} {'used':>5} {'blocks':>7} {'most replicas':>14} {'step, s':>9} "
        f"{'blocks':>8} {'DDP':>8} {'DDP of bp':>10} {'1F1B':>8} {'memory, GB':>11}"
        + (f" {'published':>10}" if published else "")
    )
    for each in projections:
        plan, row = each.plan, each.row("blocks")
        others = [each.row("ddp", method), each.row("ddp", "bp"), each.row("pipeline_1f1b")]
        ddp, ddp_of_bp, pipeline = [_number(other.speedup, 2) for other in others]
        yield (
            f"{each.devices:>7} {plan.num_devices:>5} {plan.num_blocks:>7} "
            f"{max(plan.replicas):>14} {_number(row.step_seconds, 4):>9} "
            f"{_number(row.speedup, 2):>8} {ddp:>8} {ddp_of_bp:>10} {pipeline:>8} "
            f"{_number(row.peak_memory_bytes, 3, 1e9):>11}"
            + (f" {_number(each.published, 2):>10}" if published else "")
        )
    notes = [row.note for each in projections for row in each.rows if row.step_seconds is None]
    for note in dict.fromkeys(notes):
        yield f"-: {note}"
    if published:
        yield f"published: {result.planned.published_source}"


def _number(value: float | None, places: int, unit: float = 1.0) -> str:
    return NOTHING if value is None else f"{value / unit:.{places}f}"


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}{'' if number == 1 else 's'}"
