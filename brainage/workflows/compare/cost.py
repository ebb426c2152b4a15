"""What a training step of each arm takes: measured side by side, not taken from its fits.

Fits run at different moments, and whatever else the machine does meanwhile would decide which rule
is fast. Here arms take steps in turn on noise of the cohort's shape (``core.speed``), memory is
that of a process of its own for each arm, and joules are counted over steps in turn as well.
"""

import json
import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from brainage.backbones.registry import build_stages
from brainage.config.run import RunConfig
from brainage.core.partition import stage_counts
from brainage.core.rules import RULES
from brainage.core.speed import SpeedCase, SpeedRow, measure_speed
from brainage.core.tasks import fit_task
from brainage.core.timing import STILL_LEARNING_RATE, synchronize
from brainage.errors import RunFolderError
from brainage.reporting.comparison import ArmCost
from brainage.workflows.compare.energy import EnergyCounter, find_energy_counter
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.run_folder import write_text

ENERGY_SECONDS = 1.0
"""Shortest time over which joules are counted: counters move in steps of about a millisecond."""
ENERGY_ROUNDS = 5

_log = logging.getLogger(__name__)


def measure_arms(
    arms: Mapping[str, RunConfig],
    input_shape: tuple[int, ...],
    *,
    rounds: int,
    report: Callable[[str], None] = _log.info,
) -> dict[str, ArmCost]:
    """Time, memory and energy of the arms' steps.

    Rules that train block after block are left out: no single step stands for all of theirs.

    Args:
        arms: settled configurations, on one device.
        input_shape: of one input, without the batch axis.
        rounds: timed steps of each; 0 measures nothing.
        report: told what is being measured.

    Raises:
        TrainingError: if an arm does not fit into memory.
    """
    measured = {
        name: config
        for name, config in arms.items()
        if RULES[config.objective.name].num_phases(config.blocks.num_blocks) == 1
    }
    if not (rounds and measured):
        return {}
    cases = [_case(name, config, input_shape) for name, config in measured.items()]
    rows = measure_speed(cases, rounds=rounds, report=report)
    counter = find_energy_counter(torch.device(cases[0].device))
    joules: Sequence[float | None] = [None] * len(cases)
    if counter is not None:
        report(f"energy of {ENERGY_ROUNDS} rounds each")
        joules = measure_joules(cases, [row.step_seconds for row in rows], counter)
    name = "no counter" if counter is None else counter.name
    return {row.method: _cost(row, energy, name) for row, energy in zip(rows, joules, strict=True)}


def kept_costs(
    path: Path,
    arms: Mapping[str, RunConfig],
    input_shape: tuple[int, ...],
    *,
    rounds: int,
    report: Callable[[str], None],
) -> dict[str, ArmCost]:
    """``measure_arms``, or what an interrupted call measured: it would differ another time.

    Raises:
        RunFolderError: if the file is damaged or cannot be written.
        TrainingError: if an arm does not fit into memory.
    """
    if not path.exists():
        costs = measure_arms(arms, input_shape, rounds=rounds, report=report)
        plain = {name: asdict(cost) for name, cost in costs.items()}
        write_text(path, json.dumps(plain, indent=1) + "\n")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: ArmCost(**cost) for name, cost in known.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{path}: damaged, remove it to measure again: {error}") from error


def measure_joules(
    cases: Sequence[SpeedCase],
    step_seconds: Sequence[float],
    counter: EnergyCounter,
    *,
    rounds: int = ENERGY_ROUNDS,
    round_seconds: float = ENERGY_SECONDS,
) -> list[float]:
    """Joules of one step of each case: median over rounds in which the cases take turns.

    Args:
        cases: networks to train.
        step_seconds: about how long a step of each takes.
        counter: of the device they run on.
        rounds: turns of each.
        round_seconds: shortest time of a turn.
    """
    engines = [case.build() for case in cases]
    batches = [case.batch() for case in cases]
    joules: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds + 1):  # the first one warms up
        for engine, batch, seconds, kept in zip(
            engines, batches, step_seconds, joules, strict=True
        ):
            steps = max(1, math.ceil(round_seconds / seconds))
            synchronize(engine.device)
            before = counter.joules()
            for step in range(steps):
                engine.train_step(batch, step, STILL_LEARNING_RATE)
            synchronize(engine.device)
            kept.append((counter.joules() - before) / steps)
    return [statistics.median(kept[1:]) for kept in joules]


def _case(name: str, config: RunConfig, input_shape: tuple[int, ...]) -> SpeedCase:
    return SpeedCase(
        method=name,
        backbone=config.backbone.name,
        build_stages=partial(build_stages, config.backbone, input_shape, config.seed),
        input_shape=input_shape,
        batch_size=config.trainer.batch_size,
        stage_counts=tuple(stage_counts(config.backbone.num_stages, config.blocks)),
        # What is predicted does not change how long a step takes.
        task=fit_task(config.task, torch.tensor([20.0, 80.0])),
        heads=config.heads,
        objective=replace(config.objective, adaptive_leader_fraction=False),
        optimizer=config.optimizer,
        engine=config.engine,
        device=str(device_of(config)),
        num_threads=config.num_threads,
        seed=config.seed,
    )


def _cost(row: SpeedRow, joules: float | None, counter: str) -> ArmCost:
    return ArmCost(
        step_seconds=row.step_seconds,
        step_seconds_iqr=row.step_seconds_iqr,
        samples_per_second=row.samples_per_second,
        peak_memory_bytes=row.peak_memory_bytes,
        activation_bytes=row.activation_bytes,
        joules_per_step=joules,
        energy_counter=counter,
        device_name=row.device_name,
    )
