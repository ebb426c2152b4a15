"""The training loop: epochs, validation, checkpoints and the record. Knows no data format."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from brainage.core.checkpoint import CheckpointStore
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engine_state import engine_tensors, load_engine_tensors, wants_tensor
from brainage.core.loss_reports import BlockParts, joined_losses, mean_losses
from brainage.core.metrics import score
from brainage.core.optim import learning_rate_at
from brainage.core.tasks import predict_together
from brainage.core.timing import peak_memory_bytes, summarise_steps, synchronize
from brainage.core.training_config import OptimizerConfig, ScheduleConfig, TrainerConfig
from brainage.core.types import BatchSource, Recorder
from brainage.errors import TrainingError


@dataclass(frozen=True)
class Evaluation:
    """Predictions of every block that has an output head.

    ``predictions_N`` maps the block's index from 0 to predictions (N,) in the task's unit;
    ``losses`` maps it to the mean prediction loss. ``targets_N`` has shape (N,). ``ensemble_N`` is
    what all of them say together, if there are several.
    """

    predictions_N: dict[int, Tensor]
    losses: dict[int, float]
    targets_N: Tensor
    ensemble_N: Tensor | None = None

    @property
    def final(self) -> Tensor:
        """Predictions (N,) of the output block."""
        return self.predictions_N[max(self.predictions_N)]


@dataclass
class TrainingResult:
    """What training took and how it went.

    ``history`` has one entry for each epoch with the metrics recorded for it. Times are in seconds;
    steps exclude warm-up, waiting for data, validation and checkpoints.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    step_seconds: float | None = None
    step_seconds_iqr: float | None = None
    peak_memory_bytes: int = 0


def evaluate(engine: SingleDeviceEngine, source: BatchSource) -> Evaluation:
    """Predict every sample of ``source`` with every block; on several devices, all call it.

    Args:
        engine: its chain is put in evaluation mode.
        source: delivered in order, without augmentation.
    """
    task = engine.objective.task
    engine.settle()
    engine.expect(source.batch_sizes, training=False)
    rows = partial(engine.rows, training=False)
    targets: list[Tensor] = []
    own: list[dict[int, Tensor]] = []
    for batch in source.batches(0, rows=rows):
        targets.append(batch.targets)
        outputs = engine.predict(batch.inputs, len(batch.targets))
        own.append(
            {
                engine.first_block + index: each.cpu()
                for index, each in enumerate(outputs)
                if each is not None
            }
        )
    engine.settle()
    predictions: dict[int, list[Tensor]] = defaultdict(list)
    losses: dict[int, list[Tensor]] = defaultdict(list)
    together: list[Tensor] = []
    for answers, ages in zip(_joined(engine.ranks.gather(own)), targets, strict=True):
        for block, answer in answers.items():
            predictions[block].append(task.predict(answer))
            losses[block].append(task.prediction_loss(answer, ages))
        if len(answers) > 1:
            together.append(predict_together(task, list(answers.values())))
    return Evaluation(
        {block: torch.cat(values) for block, values in predictions.items()},
        {block: float(torch.cat(values).mean()) for block, values in losses.items()},
        torch.cat(targets),
        torch.cat(together) if together else None,
    )


def _joined(of_ranks: Sequence[Sequence[dict[int, Tensor]]]) -> Iterator[dict[int, Tensor]]:
    """For every batch the outputs (B, C) of each block, from what each rank has of them."""
    for pieces in zip(*of_ranks, strict=True):
        blocks = sorted({block for piece in pieces for block in piece})
        yield {
            block: torch.cat([piece[block] for piece in pieces if block in piece])
            for block in blocks
        }


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
    ) -> None:
        self.engine = engine
        self.train = train
        self.validation = validation
        self.config = config
        self.optimizer = optimizer
        self.schedule = schedule
        self.recorder = recorder
        self.checkpoints = checkpoints
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
        """Train from the latest checkpoint, or from the start, to the last epoch.

        Raises:
            TrainingError: if a loss is not finite.
            CheckpointError: if a checkpoint cannot be written, or belongs to another run.
            RankError: if another process of a distributed run is gone.
        """
        self._resume()
        for epoch in range(self.next_epoch, self.num_epochs):
            started = time.perf_counter()
            metrics = self._train_epoch(epoch)
            self.engine.end_epoch()
            last = epoch == self.num_epochs - 1
            if self.validation is not None and (
                last or (epoch + 1) % self.config.validate_every == 0
            ):
                metrics |= self._validate(self.validation)
            self.next_epoch, self.steps_done, self._begun_losses = epoch + 1, 0, {}
            self.result.seconds += time.perf_counter() - started
            self.result.history.append({"train/epoch": float(epoch + 1), **metrics})
            self.recorder.metrics(metrics, step=epoch + 1)
            if last or (epoch + 1) % self.config.checkpoint_every == 0:
                self._save()
        times = summarise_steps(self._step_times)
        if times is not None:
            self.result.step_seconds = times.median
            self.result.step_seconds_iqr = times.iqr
        peaks = self.engine.ranks.gather(peak_memory_bytes(self.engine.device))
        self.result.peak_memory_bytes = max(peaks)
        return self.result

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

    def _validate(self, source: BatchSource) -> dict[str, float]:
        evaluation = evaluate(self.engine, source)
        objective = self.engine.objective
        classes = objective.task.is_classification
        metrics: dict[str, float] = {}
        for block, predictions in evaluation.predictions_N.items():
            values = {
                "loss": evaluation.losses[block],
                **score(predictions, evaluation.targets_N, classification=classes),
            }
            metrics |= {f"val/block{block + 1}/{name}": value for name, value in values.items()}
            if block == objective.num_blocks - 1:
                metrics |= {f"val/{name}": value for name, value in values.items()}
        if evaluation.ensemble_N is not None:
            values = score(evaluation.ensemble_N, evaluation.targets_N, classification=classes)
            metrics |= {f"val/ensemble/{name}": value for name, value in values.items()}
        return metrics

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
        }
        self.engine.settle()
        step = self.next_epoch * len(self.train.batch_sizes) + self.steps_done
        tensors = engine_tensors(self.engine) if self.engine.replica == 0 else {}
        self.checkpoints.save(step, tensors, facts, self.engine.ranks)
        self.recorder.event("checkpoint", epoch=self.next_epoch, step=step)

    def _resume(self) -> None:
        if self.checkpoints is None:
            return
        kept = self.checkpoints.load(wants_tensor(self.engine))
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
        self.recorder.event("resumed", epoch=self.next_epoch, steps=self.steps_done)


def _check_finite(metrics: dict[str, float], epoch: int) -> None:
    broken = [name for name, value in metrics.items() if not abs(value) < float("inf")]
    if broken:
        raise TrainingError(
            f"epoch {epoch + 1}: {broken[0]} is {metrics[broken[0]]}; lower "
            "optimizer.learning_rate or set optimizer.clip_norm"
        )
