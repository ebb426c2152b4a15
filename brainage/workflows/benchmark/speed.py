"""``brainage benchmark speed``: training steps of several methods side by side."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from brainage.backbones.registry import build_stages
from brainage.config.speed import SpeedConfig
from brainage.core.allocator import keep_freed_memory
from brainage.core.compatibility import refuse_conflicts
from brainage.core.config import ObjectiveConfig, ObjectiveName
from brainage.core.partition import resolve_cuts, stage_counts
from brainage.core.speed import SpeedCase, SpeedRow, describe_unsteady, measure_speed
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device
from brainage.errors import ConfigError, RunFolderError
from brainage.workflows.benchmark.ranks import RanksSummary, benchmark_ranks, rule_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeedSummary:
    """Result of ``brainage benchmark speed``.

    ``stage_counts``: stages of each block. The clock holds forward, losses, backward and update.
    """

    name: str
    stage_counts: tuple[int, ...]
    rows: tuple[SpeedRow, ...]

    exit_code = 0

    def describe(self) -> list[str]:
        """A table for people."""
        first = self.rows[0]
        shape = "x".join(str(size) for size in first.input_shape)
        lines = [
            f"{first.backbone}, input {shape}, batch {first.batch_size}, {first.precision}, "
            f"{first.device_name}, torch {first.torch_version}",
            f"blocks of {list(self.stage_counts)} stages; median of steps run in turn "
            "(forward, losses, backward, update); memory above the network at rest",
            "",
            f"{'method':<20} {'step, s':>9} {'of ' + first.method:>8} {'memory, GB':>11} "
            f"{'of ' + first.method:>8} {'activations, GB':>16}",
        ]
        lines += [
            f"{row.method:<20} {row.step_seconds:>9.3f} {1 / row.speedup:>8.2f} "
            f"{row.peak_memory_bytes / 1e9:>11.2f} "
            f"{row.peak_memory_bytes / max(first.peak_memory_bytes, 1):>8.2f} "
            f"{row.activation_bytes / 1e9:>16.2f}"
            for row in self.rows
        ]
        return lines + describe_unsteady(self.rows)

    def to_json(self) -> dict[str, Any]:
        """The rows, with the cuts."""
        return {
            "name": self.name,
            "stage_counts": list(self.stage_counts),
            "rows": [asdict(row) for row in self.rows],
        }


def benchmark_speed(
    config: SpeedConfig, *, out: Path | None = None, report: Callable[[str], None] = _log.info
) -> SpeedSummary | RanksSummary:
    """Measure step time and peak memory of every method of the configuration.

    Args:
        config: network, methods and sizes.
        out: JSON file to write beside what is returned.
        report: told what is being measured.

    Raises:
        ConfigError: if the network does not fit, or the device does not exist.
        RunFolderError: if the file cannot be written.
        TrainingError: if a method does not fit into memory.
    """
    try:
        cases = _cases(config)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    if config.keep_freed_memory and cases[0].device == "cpu":
        keep_freed_memory()
    summary: SpeedSummary | RanksSummary
    if config.devices > 1:
        summary = benchmark_ranks(config, cases, report=report)
    else:
        rows = measure_speed(cases, rounds=config.rounds, report=report)
        summary = SpeedSummary(config.name, cases[0].stage_counts, tuple(rows))
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(summary.to_json(), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{out}: cannot write: {error.strerror}") from error
    return summary


def _cases(config: SpeedConfig) -> list[SpeedCase]:
    try:
        device = choose_device(config.device)
    except ValueError as error:
        raise ConfigError(f"device: {error}") from error
    if config.devices > 1:  # cuts are measured as ranks compute
        torch.set_num_threads(config.num_threads or 1)
    build = partial(build_stages, config.backbone, config.input_shape, config.seed)
    stages = build()
    blocks = resolve_cuts(
        stages,
        config.input_shape,
        config.batch_size,
        config.blocks,
        device=device,
        precision=config.engine.precision,
    )
    counts = tuple(stage_counts(len(stages), blocks))
    cases = [
        SpeedCase(
            method=method,
            backbone=config.backbone.name,
            build_stages=build,
            input_shape=config.input_shape,
            batch_size=config.batch_size,
            stage_counts=counts,
            task=_task(config),
            heads=config.heads,
            objective=_objective(config.objective, method),
            optimizer=config.optimizer,
            engine=replace(config.engine, recompute_activations=method == "bp_checkpointed"),
            device=str(device),
            num_threads=config.num_threads,
            seed=config.seed,
        )
        for method in config.methods
    ]
    for case in cases:
        refuse_conflicts(config.task, case.objective, case.heads, case.engine)
    cases[-1].build()  # heads that do not fit are refused before anything is measured
    return cases


def _objective(settings: ObjectiveConfig, method: str) -> ObjectiveConfig:
    return replace(settings, name=cast("ObjectiveName", rule_of(method)))


def _task(config: SpeedConfig) -> Task:
    """A task of the right size; what it predicts does not change how long it takes."""
    classes = config.task.name == "classification"
    targets = torch.tensor([0, 1]) if classes else torch.tensor([20.0, 80.0])
    return fit_task(config.task, targets)
