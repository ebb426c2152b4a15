"""``brainage benchmark speed`` on several devices: one network, several ways to spread it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from brainage.config.speed import SpeedConfig
from brainage.core.placement import Placement, settle_placement
from brainage.core.plan.here import predict_here
from brainage.core.speed import SpeedCase, SpeedRow, describe_unsteady, held_activation_bytes
from brainage.core.speed_ranks import RankCase, RankMethod, RankTimes, measure_rank_cases
from brainage.core.timing import describe_device
from brainage.errors import ConfigError

_HOW: dict[str, RankMethod] = {
    "bp_threads": "threads",
    "bp_independent": "independent",
    "bp_ddp": "ddp",
    "bp_1f1b": "pipeline_1f1b",
    "lfnn_l_blocks": "blocks",
    "bp_checkpointed": "checkpointed",
}


@dataclass(frozen=True)
class RanksSummary:
    """Result of ``brainage benchmark speed`` on several devices.

    ``left_out`` maps a method to the reason why it could not run. ``independent_speedup``: batches
    that all devices train a second, each for itself, over those of one alone: what the machine can
    give at best.
    """

    name: str
    placement: Placement
    stage_counts: tuple[int, ...]
    num_micro_batches: int
    steps_per_round: int
    rows: tuple[SpeedRow, ...]
    left_out: dict[str, str]
    independent_speedup: float | None

    exit_code = 0

    def describe(self) -> list[str]:
        """A table for people."""
        first = self.rows[0]
        shape = "x".join(str(size) for size in first.input_shape)
        devices = self.placement.world_size
        lines = [
            f"{first.backbone}, input {shape}, global batch {first.batch_size}, "
            f"{first.precision}, {first.device_name} a process, torch {first.torch_version}",
            f"blocks of {list(self.stage_counts)} stages on {devices} devices "
            f"(blocks {list(self.placement.blocks_per_place)}, replicas "
            f"{list(self.placement.replicas)}); 1F1B with m = {self.num_micro_batches}",
            f"median over rounds of {self.steps_per_round} steps with the pipeline full; a step is "
            "forward, losses, backward, update; memory of the fullest process above an idle one",
            "",
            f"{'method':<20} {'devices':>7} {'step, s':>9} {'speedup over ' + first.method:>18} "
            f"{'predicted':>10} {'memory, GB':>11} {'of ' + first.method:>8}",
        ]
        for row in self.rows:
            memory = f"{row.peak_memory_bytes / 1e9:>11.2f}" if row.peak_memory_bytes else " " * 11
            share = (
                f"{row.peak_memory_bytes / first.peak_memory_bytes:>9.2f}"
                if row.peak_memory_bytes and first.peak_memory_bytes
                else ""
            )
            predicted = f"{row.predicted_speedup:>10.2f}" if row.predicted_speedup else " " * 10
            lines.append(
                f"{row.method:<20} {row.devices:>7} {row.step_seconds:>9.4f} "
                f"{row.speedup:>18.2f} {predicted} {memory}{share}"
            )
        if self.independent_speedup is not None:
            lines += [
                "",
                f"at best: {devices} independent processes train {self.independent_speedup:.2f} "
                "times as many batches as one",
            ]
        lines += [f"left out: {name}: {why}" for name, why in self.left_out.items()]
        return lines + describe_unsteady(self.rows)

    def to_json(self) -> dict[str, Any]:
        """The rows, with the cuts and what limits them."""
        return {
            "name": self.name,
            "stage_counts": list(self.stage_counts),
            "blocks_per_place": list(self.placement.blocks_per_place),
            "replicas": list(self.placement.replicas),
            "num_micro_batches": self.num_micro_batches,
            "steps_per_round": self.steps_per_round,
            "independent_speedup": self.independent_speedup,
            "left_out": self.left_out,
            "rows": [asdict(row) for row in self.rows],
        }


def benchmark_ranks(
    config: SpeedConfig,
    cases: Sequence[SpeedCase],
    *,
    report: Callable[[str], None],
) -> RanksSummary:
    """Measure every method of a configuration for several devices.

    Args:
        config: network, methods, devices.
        cases: the network under each method's rule, in the order of ``config.methods``.
        report: told what is being measured.

    Raises:
        ConfigError: if blocks and devices do not add up.
        RankError: if a process died.
    """
    try:
        placement = settle_placement(config.parallel, config.blocks.num_blocks, config.devices)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    left_out = _left_out(config, placement)
    kept = [
        (name, case)
        for name, case in zip(config.methods, cases, strict=True)
        if name not in left_out
    ]
    rank_cases = [_rank_case(config, name, case, placement) for name, case in kept]
    report(
        f"{len(kept)} methods on {config.devices} processes: memory, then {config.rounds} rounds"
    )
    times = measure_rank_cases(rank_cases, rounds=config.rounds, steps=config.steps_per_round)
    baseline = statistics.median(times[0].seconds)
    predicted = _predicted_seconds(config, kept, placement, report)
    rows = tuple(
        _with_prediction(
            _row(name, rank_case, taken, config.methods[0], baseline),
            predicted.get(config.methods[0]),
            predicted.get(name),
        )
        for (name, _), rank_case, taken in zip(kept, rank_cases, times, strict=True)
    )
    return RanksSummary(
        config.name,
        placement,
        cases[0].stage_counts,
        config.batch_size,
        config.steps_per_round,
        tuple(row for row in rows if row.method != "bp_independent"),
        left_out,
        _independent(config, rows),
    )


def rule_of(method: str) -> str:
    """The training rule of a method's name."""
    return "lfnn_l" if method == "lfnn_l_blocks" else "bp" if method in _HOW else method


def _predicted_seconds(
    config: SpeedConfig,
    cases: Sequence[tuple[str, SpeedCase]],
    placement: Placement,
    report: Callable[[str], None],
) -> dict[str, float]:
    """The planner's seconds of a step for every method that it knows, from costs measured now."""
    rule = next((case for name, case in cases if name == "lfnn_l_blocks"), None)
    if rule is None:
        return {}
    case = replace(rule, num_threads=config.num_threads or 1)
    found = {}
    for row in predict_here(case, placement, config.parallel, report=report):
        name = {"blocks": "lfnn_l_blocks", "ddp": f"{row.method}_ddp"}.get(row.engine)
        name = name or {"checkpointed": "bp_checkpointed", "pipeline_1f1b": "bp_1f1b"}.get(
            row.engine, row.method
        )
        if row.step_seconds is not None:
            found[name] = row.step_seconds
    return found


def _with_prediction(row: SpeedRow, baseline: float | None, seconds: float | None) -> SpeedRow:
    """The row with the speedup over the baseline that the planner predicts."""
    if baseline is None or seconds is None:
        return row
    return replace(row, predicted_speedup=baseline / seconds)


def _left_out(config: SpeedConfig, placement: Placement) -> dict[str, str]:
    """Methods that cannot run with these sizes, and why."""
    reasons: dict[str, str] = {}
    for name in config.methods:
        if name == "bp_ddp" and config.batch_size < config.devices:
            reasons[name] = (
                f"a batch of {config.batch_size} cannot be split over {config.devices} devices"
            )
        elif name == "bp_1f1b" and max(placement.replicas) > 1:
            reasons[name] = "stages of the pipeline have one device each"
        elif name == "bp_1f1b" and _changes_steps(config):
            reasons[name] = "the pipeline computes in float32, without other settings of the engine"
        elif name == "bp_threads" and config.device != "cpu" and torch.cuda.is_available():
            reasons[name] = "an accelerator has no threads to share out"
    return reasons


def _changes_steps(config: SpeedConfig) -> bool:
    """Whether a step is carried out otherwise than the plain pipeline can."""
    engine, clips = config.engine, config.optimizer.clip_norm is not None
    changed = engine.channels_last or engine.compile_blocks or engine.recompute_activations
    return engine.precision != "float32" or changed or clips


def _rank_case(config: SpeedConfig, method: str, case: SpeedCase, placement: Placement) -> RankCase:
    how = _HOW.get(method, "single")
    return RankCase(
        case=replace(case, num_threads=config.num_threads or 1),
        how=how,
        world_size=config.devices,
        placement=placement,
        parallel=replace(
            config.parallel,
            engine="ddp" if how == "ddp" else "blocks",
            blocks_per_place=placement.blocks_per_place,
            replicas=placement.replicas,
        ),
        num_micro_batches=config.batch_size,
    )


def _row(
    method: str, rank_case: RankCase, taken: RankTimes, baseline: str, baseline_seconds: float
) -> SpeedRow:
    case = rank_case.case
    low, middle, high = statistics.quantiles(taken.seconds, n=4)
    devices = 1 if rank_case.alone and rank_case.how != "threads" else rank_case.world_size
    speedup = baseline_seconds / middle
    engines = {"ddp": "ddp", "blocks": "blocks", "pipeline_1f1b": "pipeline_1f1b",
               "checkpointed": "checkpointed"}  # fmt: skip
    return SpeedRow(
        method=method,
        engine=engines.get(rank_case.how, "single"),  # type: ignore[arg-type]
        devices=devices,
        replicas=max(rank_case.placement.replicas) if rank_case.how == "blocks" else 1,
        blocks=len(case.stage_counts),
        backbone=case.backbone,
        input_shape=case.input_shape,
        batch_size=case.batch_size,
        precision=case.engine.precision,
        step_seconds=middle,
        step_seconds_iqr=high - low,
        samples_per_second=case.batch_size / middle,
        peak_memory_bytes=max(taken.peak_bytes, default=0),
        activation_bytes=held_activation_bytes(case),
        loader_wait_seconds=0.0,
        baseline=baseline,
        speedup=speedup,
        efficiency=speedup / devices,
        predicted_speedup=None,
        device_name=describe_device(torch.device(case.device)),
        torch_version=torch.__version__,
        kind="measured",
    )


def _independent(config: SpeedConfig, rows: Sequence[SpeedRow]) -> float | None:
    """How many batches all processes train, each for itself, while one alone trains one."""
    found = [row for row in rows if row.method == "bp_independent"]
    return config.devices * found[0].speedup if found else None
