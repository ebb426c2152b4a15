"""The training loop: epochs, validation, checkpoints and the record. Knows no data format."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brainage.core.checkpoint import CheckpointStore
from brainage.core.early_stopping import PREFIX as BEST
from brainage.core.early_stopping import EarlyStopping
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engine_state import engine_tensors, load_engine_tensors, wants_tensor
from brainage.core.evaluation import evaluate, validation_metrics
from brainage.core.loss_reports import BlockParts, joined_losses, mean_losses
from brainage.core.optim import learning_rate_at
from brainage.core.timing import peak_memory_bytes, summarise_steps, synchronize
from brainage.core.training_config import OptimizerConfig, ScheduleConfig, TrainerConfig
from brainage.core.types import BatchSource, Recorder
from brainage.errors import TrainingError


@dataclass
class TrainingResult:
    """What training took and how it went.

    ``history`` has one entry for each epoch with the metrics recorded for it. Times are in seconds;
    steps exclude warm-up, waiting for data, validation and checkpoints. ``best_epoch`` is the one,
    from 1, whose weights early stopping kept; None without it.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    step_seconds: float | None = None
    step_seconds_iqr: float | None = None
    peak_memory_bytes: int = 0
    best_epoch: int | None = None


class Trainer:
    """Runs the epochs.

    Args:
        engine: performs the steps.
        train: training batches.
        validation: validation batches, in order; None trains without looking.
        config: length and cadence.
        optimizer: its highest learning rate.
        schedule: the learning rate's course.
        recorder: receives metrics and events.
        checkpoints: where state is kept; None keeps none.
        stop_after: epochs after which training ends, on the schedule of ``config.epochs``; all of
            them by default.

    Raises:
        ValueError: if training is to stop early without anything to validate on, or in phases.
    """

    def __init__(
        self,
        engine: SingleDeviceEngine,
        train: BatchSource,
        validation: BatchSource | None,
        *,
        config: TrainerConfig,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
        recorder: Recorder,
        checkpoints: CheckpointStore | None = None,
        stop_after: int | None = None,
    ) -> None:
        if config.early_stopping is not None and validation is None:
            raise ValueError("early stopping needs samples to validate on")
        self.engine = engine
        self.train = train
        self.validation = validation
        self.config = config
        self.optimizer = optimizer
        self.schedule = schedule
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.stop_after = stop_after
        self.stopping = (
            None if config.early_stopping is None else EarlyStopping(config.early_stopping, engine)
        )
        self.next_epoch = 0
        self.steps_done = 0
        self.result = TrainingResult()
        self._step_times: list[float] = []
        # Of an epoch that was interrupted: mean losses of so many steps.
        self._begun_losses: dict[str, float] = {}

    @property
    def num_epochs(self) -> int:
        """Epochs in all: the configured ones for each phase of the rule."""
        return self.config.epochs * self.engine.objective.num_phases

    def fit(self) -> TrainingResult:
        """Train from the latest checkpoint, or from the start, to the end.

        The end is the last epoch. With early stopping it may come before, and the engine then has
        the weights of the best epoch.

        Raises:
            TrainingError: if a loss is not finite.
            CheckpointError: if a checkpoint cannot be written, or belongs to another run.
            RankError: if another process of a distributed run is gone.
        """
        self._resume()
        while not self._is_over:
            self._run_epoch(self.next_epoch)
        if self.stopping is not None:
            self.stopping.restore()
            self.result.best_epoch = self.stopping.best_epoch
        times = summarise_steps(self._step_times)
        if times is not None:
            self.result.step_seconds = times.median
            self.result.step_seconds_iqr = times.iqr
        peaks = self.engine.ranks.gather(peak_memory_bytes(self.engine.device))
        self.result.peak_memory_bytes = max(peaks)
        return self.result

    @property
    def _is_over(self) -> bool:
        """Whether no epoch is left to train."""
        stopped = self.stopping is not None and self.stopping.is_over
        return stopped or self.next_epoch >= (self.stop_after or self.num_epochs)

    def _run_epoch(self, epoch: int) -> None:
        """Train, validate and keep one epoch."""
        started = time.perf_counter()
        metrics = self._train_epoch(epoch)
        self.engine.end_epoch()
        self.next_epoch, self.steps_done, self._begun_losses = epoch + 1, 0, {}
        done = self.next_epoch
        if self.validation is not None and (
            self._is_over or done % self.config.validate_every == 0
        ):
            metrics |= validation_metrics(
                evaluate(self.engine, self.validation), self.engine.objective
            )
            if self.stopping is not None:
                self.stopping.observe(done, metrics)
        self.result.seconds += time.perf_counter() - started
        self.result.history.append({"train/epoch": float(done), **metrics})
        self.recorder.metrics(metrics, step=done)
        if self._is_over or done % self.config.checkpoint_every == 0:
            self._save()

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training set. The step clock stops while waiting for data."""
        sizes = self.train.batch_sizes
        phase_steps = self.config.epochs * len(sizes)
        num_steps = self.num_epochs * len(sizes)
        first = self.steps_done
        reports: list[list[BlockParts]] = []
        waited, stepped, learning_rate = 0.0, 0.0, 0.0
        self.engine.expect(sizes[first:])
        ready = time.perf_counter()
        for index, batch in enumerate(
            self.train.batches(epoch, first=first, rows=self.engine.rows), start=first
        ):
            begun = time.perf_counter()
            waited += begun - ready
            step = epoch * len(sizes) + index
            learning_rate = learning_rate_at(
                step % phase_steps, phase_steps, self.schedule, self.optimizer.learning_rate
            )
            reports.append(self.engine.train_step(batch, step, learning_rate, step / num_steps))
            synchronize(self.engine.device)
            ready = time.perf_counter()
            self._step_times.append(ready - begun)
            stepped += ready - begun
            if self._is_saved_after(index + 1, len(sizes)):
                self._save_within(index + 1, self._losses(reports, first))
                ready = time.perf_counter()
        self.engine.settle()
        metrics = self._losses(reports, first)
        _check_finite(metrics, epoch)
        slowest, peaks = zip(
            *self.engine.ranks.gather((stepped, peak_memory_bytes(self.engine.device))),
            strict=True,
        )
        return metrics | {
            "train/learning_rate": learning_rate,
            "speed/step_seconds": max(slowest) / len(reports),
            "speed/samples_per_second": sum(sizes[first:]) / max(slowest),
            "speed/loader_wait_seconds": waited,
            "memory/peak_bytes": float(max(peaks)),
        }

    def _losses(self, reports: list[list[BlockParts]], first: int) -> dict[str, float]:
        """Mean losses of the epoch so far, over all ranks and what came before an interruption."""
        own = mean_losses(reports, self.engine.first_block)
        losses = joined_losses(self.engine.ranks.gather(own), self.engine.objective.num_blocks)
        if first == 0:
            return losses
        done = first + len(reports)
        return {
            name: (self._begun_losses.get(name, 0.0) * first + value * len(reports)) / done
            for name, value in losses.items()
        }

    def _is_saved_after(self, steps: int, num_steps: int) -> bool:
        """Whether so many steps of an epoch are a reason for a checkpoint within it."""
        every = self.config.checkpoint_every_steps
        return (
            self.checkpoints is not None
            and every is not None
            and steps % every == 0
            and steps < num_steps
        )

    def _save_within(self, steps: int, losses: dict[str, float]) -> None:
        """A checkpoint in the middle of an epoch."""
        kept = self.steps_done, self._begun_losses
        self.steps_done, self._begun_losses = steps, losses
        self._save()
        self.steps_done, self._begun_losses = kept

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        facts: dict[str, Any] = {
            "next_epoch": self.next_epoch,
            "steps_done": self.steps_done,
            "begun_losses": self._begun_losses,
            "history": self.result.history,
            "seconds": self.result.seconds,
            "step_times": self._step_times,
            "early_stopping": None if self.stopping is None else self.stopping.facts(),
        }
        self.engine.settle()
        step = self.next_epoch * len(self.train.batch_sizes) + self.steps_done
        tensors = {}
        if self.engine.replica == 0:
            best = {} if self.stopping is None else self.stopping.tensors()
            tensors = engine_tensors(self.engine) | best
        self.checkpoints.save(step, tensors, facts, self.engine.ranks)
        self.recorder.event("checkpoint", epoch=self.next_epoch, step=step)

    def _resume(self) -> None:
        if self.checkpoints is None:
            return
        wanted = wants_tensor(self.engine)
        kept = self.checkpoints.load(lambda name: wanted(name.removeprefix(BEST)))
        if kept is None:
            return
        tensors, facts = kept
        self.next_epoch = facts["next_epoch"]
        self.steps_done = facts["steps_done"]
        self._begun_losses = facts["begun_losses"]
        self.result.history = facts["history"]
        self.result.seconds = facts["seconds"]
        self._step_times = facts["step_times"]
        load_engine_tensors(self.engine, tensors)
        if self.stopping is not None:
            self.stopping.load(tensors, facts["early_stopping"])
        self.recorder.event("resumed", epoch=self.next_epoch, steps=self.steps_done)


def _check_finite(metrics: dict[str, float], epoch: int) -> None:
    broken = [name for name, value in metrics.items() if not abs(value) < float("inf")]
    if broken:
        raise TrainingError(
            f"epoch {epoch + 1}: {broken[0]} is {metrics[broken[0]]}; lower "
            "optimizer.learning_rate or set optimizer.clip_norm"
        )


def epoch_seconds(entry: Mapping[str, float], num_samples: int) -> float | None:
    """Seconds of an epoch's steps and of waiting for its data; None if they were not measured.

    Args:
        entry: of the epoch, as ``TrainingResult.history`` has it.
        num_samples: samples of an epoch.
    """
    rate, waited = "speed/samples_per_second", "speed/loader_wait_seconds"
    if rate not in entry or waited not in entry:
        return None
    return num_samples / entry[rate] + entry[waited]
