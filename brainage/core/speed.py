"""Training steps of several rules side by side on synthetic inputs: time, memory, activations.

Inside the clock: forward, losses, backward and optimizer step, until the device is done. Outside:
making the inputs and their transfer, evaluation and logging.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.measure import activation_bytes, measure_memory
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.random import random_stream
from brainage.core.rules import RULES
from brainage.core.tasks import Task
from brainage.core.timing import (
    STILL_LEARNING_RATE,
    StepTimes,
    describe_device,
    memory_above_start,
    summarise_steps,
    synchronize,
)
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.core.types import Batch
from brainage.errors import TrainingError

WARMUP_ROUNDS = 2
UNSTEADY_SPREAD = 0.5
"""Interquartile range of step times, as a share of their median, above which it is not trusted."""

MEMORY_STEPS = 3
"""Steps during which memory is watched: the second is the first with the optimizer's state."""

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SpeedCase:
    """One way to train one network, as a description that another process can build again.

    ``method`` names it, e.g. ``bp_checkpointed``. ``build_stages`` gives the backbone and has to be
    a function that can be pickled. ``backbone`` is its name in the table.
    """

    method: str
    backbone: str
    build_stages: Callable[[], list[nn.Module]]
    input_shape: tuple[int, ...]
    batch_size: int
    stage_counts: tuple[int, ...]
    task: Task
    heads: HeadConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig
    engine: EngineConfig
    device: str = "cpu"
    num_threads: int | None = None
    seed: int = 0

    def build(self) -> SingleDeviceEngine:
        """A fresh network on its device, with its engine."""
        chain = build_chain(
            self.build_stages(),
            self.stage_counts,
            self.input_shape,
            self.task,
            self.objective,
            heads=self.heads,
            seed=self.seed,
        )
        return SingleDeviceEngine(
            chain,
            Objective(self.objective, self.task, len(self.stage_counts)),
            build_optimizers(chain, self.optimizer),
            device=torch.device(self.device),
            seed=self.seed,
            clip_norm=self.optimizer.clip_norm,
            config=self.engine,
        )

    def batch(self) -> Batch:
        """One batch of noise on the device, with targets that the task can read."""
        with random_stream(self.seed, "speed"):
            inputs = torch.randn(self.batch_size, *self.input_shape)
        outputs = torch.zeros(self.batch_size, self.task.output_size)
        targets = self.task.predict(outputs)
        return Batch(inputs.to(self.device), targets.to(self.device))


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """One row of the table; ``docs`` of the command say what is inside the clock.

    ``peak_memory_bytes``: highest memory during steps, minus that with the network and its weights
    in place. ``activation_bytes``: counted, not observed: what blocks hold for their backward
    passes, of the largest block where each is released before the next, of all otherwise.
    ``speedup`` and ``efficiency`` (for each device) compare with the row named ``baseline``.
    ``loader_wait_seconds`` is zero: no data are loaded. ``predicted_speedup`` is the planner's,
    where it was asked; everything else is measured.
    """

    method: str
    engine: Literal["single", "checkpointed", "blocks", "ddp", "pipeline_1f1b"]
    devices: int
    replicas: int
    blocks: int
    backbone: str
    input_shape: tuple[int, ...]
    batch_size: int
    precision: str
    step_seconds: float
    step_seconds_iqr: float
    samples_per_second: float
    peak_memory_bytes: int
    activation_bytes: int
    loader_wait_seconds: float
    baseline: str
    speedup: float
    efficiency: float
    predicted_speedup: float | None
    device_name: str
    torch_version: str
    kind: Literal["measured"]


def is_unsteady(step_seconds: float, step_seconds_iqr: float) -> bool:
    """Whether steps took times so different that their median tells of the machine.

    Something else ran then, or the machine stood still for a while.
    """
    return step_seconds_iqr > UNSTEADY_SPREAD * step_seconds


def describe_unsteady(rows: Iterable[SpeedRow]) -> list[str]:
    """A line for people about rows that should be measured again, or none."""
    names = [row.method for row in rows if is_unsteady(row.step_seconds, row.step_seconds_iqr)]
    if not names:
        return []
    return [
        "",
        f"not steady: {', '.join(names)}: the middle half of the times spreads by more than "
        f"{UNSTEADY_SPREAD:.0%} of the median; measure again while nothing else runs",
    ]


def measure_speed(
    cases: Sequence[SpeedCase], *, rounds: int, report: Report = lambda _: None
) -> list[SpeedRow]:
    """Measure every case; the first is the baseline.

    Memory first, each case alone (on a CPU in a process of its own); then time, all cases in this
    process, one step of each in turn, so that whatever else the machine does hits all alike.

    Args:
        cases: networks to train, on one device.
        rounds: timed steps of each.
        report: told what is being measured.

    Raises:
        TrainingError: if a case does not fit into memory.
    """
    peaks = []
    for case in cases:
        report(f"memory of {case.method}")
        peaks.append(measure_peak(case))
    report(f"time of {rounds} steps each")
    times = measure_steps(cases, rounds)
    baseline = times[0].median
    return [
        _row(case, step, peak, cases[0].method, baseline)
        for case, step, peak in zip(cases, times, peaks, strict=True)
    ]


def measure_steps(cases: Sequence[SpeedCase], rounds: int) -> list[StepTimes]:
    """Step times of all cases, measured in turn."""
    threads = cases[0].num_threads
    if threads is not None:
        torch.set_num_threads(threads)
    engines = [case.build() for case in cases]
    batches = [case.batch() for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for step in range(WARMUP_ROUNDS + rounds):
        for engine, batch, kept in zip(engines, batches, seconds, strict=True):
            synchronize(engine.device)
            begun = time.perf_counter()
            engine.train_step(batch, step, STILL_LEARNING_RATE)
            synchronize(engine.device)
            kept.append(time.perf_counter() - begun)
    summaries = [summarise_steps(kept, WARMUP_ROUNDS) for kept in seconds]
    assert all(summary is not None for summary in summaries), "two rounds at least"
    return [summary for summary in summaries if summary is not None]


def measure_peak(case: SpeedCase) -> int:
    """Highest memory during steps above that of the network at rest, in bytes.

    At rest are the weights and one batch; gradients, optimizer state and activations come on top.

    Raises:
        TrainingError: if the process was killed, which is what running out of memory looks like.
    """
    if torch.device(case.device).type != "cpu":
        return _peak_of_steps(case)
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            return alone.submit(_peak_of_steps, case).result()
    except BrokenProcessPool as error:
        raise TrainingError(
            f"{case.method}: the process was killed, probably for lack of memory; lower "
            "input_shape or batch_size"
        ) from error


def _peak_of_steps(case: SpeedCase) -> int:
    if case.num_threads is not None:
        torch.set_num_threads(case.num_threads)
    engine, batch = case.build(), case.batch()

    def train() -> None:
        for step in range(MEMORY_STEPS):
            engine.train_step(batch, step, STILL_LEARNING_RATE)

    return memory_above_start(engine.device, train)


def held_activation_bytes(case: SpeedCase) -> int:
    """Counted activations that one device holds at once, without the heads' own."""
    stages = measure_memory(
        case.build_stages(), case.input_shape, case.batch_size, precision=case.engine.precision
    )
    blocks, first = [], 0
    for count in case.stage_counts:
        blocks.append(stages[first : first + count])
        first += count
    if RULES[case.objective.name].scope == "block":
        return max(activation_bytes(block) for block in blocks)
    if case.engine.recompute_activations:
        boundaries = sum(block[0].input_bytes for block in blocks)
        return boundaries + max(activation_bytes(block) - block[0].input_bytes for block in blocks)
    return activation_bytes(stages)


def _row(
    case: SpeedCase, step: StepTimes, peak: int, baseline: str, baseline_seconds: float
) -> SpeedRow:
    speedup = baseline_seconds / step.median
    return SpeedRow(
        method=case.method,
        engine="checkpointed" if case.engine.recompute_activations else "single",
        devices=1,
        replicas=1,
        blocks=len(case.stage_counts),
        backbone=case.backbone,
        input_shape=case.input_shape,
        batch_size=case.batch_size,
        precision=case.engine.precision,
        step_seconds=step.median,
        step_seconds_iqr=step.iqr,
        samples_per_second=case.batch_size / step.median,
        peak_memory_bytes=peak,
        activation_bytes=held_activation_bytes(case),
        loader_wait_seconds=0.0,
        baseline=baseline,
        speedup=speedup,
        efficiency=speedup,
        predicted_speedup=None,
        device_name=describe_device(torch.device(case.device)),
        torch_version=torch.__version__,
        kind="measured",
    )
