"""The training loop: epochs, validation, checkpoints and the record. Knows no data format."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from brainage.core.checkpoint import CheckpointStore
from brainage.core.engine import BlockParts, SingleDeviceEngine
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
    """Predict every sample of ``source`` with every block.

    Args:
        engine: its chain is put in evaluation mode.
        source: delivered in order, without augmentation.
    """
    task = engine.objective.task
    predictions: dict[int, list[Tensor]] = defaultdict(list)
    losses: dict[int, list[Tensor]] = defaultdict(list)
    targets: list[Tensor] = []
    together: list[Tensor] = []
    for batch in source.batches(0):
        targets.append(batch.targets)
        outputs = engine.predict(batch.inputs)
        answers = {block: each.cpu() for block, each in enumerate(outputs) if each is not None}
        for block, answer in answers.items():
            predictions[block].append(task.predict(answer))
            losses[block].append(task.prediction_loss(answer, batch.targets))
        if len(answers) > 1:
            together.append(predict_together(task, list(answers.values())))
    return Evaluation(
        {block: torch.cat(values) for block, values in predictions.items()},
        {block: float(torch.cat(values).mean()) for block, values in losses.items()},
        torch.cat(targets),
        torch.cat(together) if together else None,
    )


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
        self.result = TrainingResult()
        self._step_times: list[float] = []

    @property
    def num_epochs(self) -> int:
        """Epochs in all: the configured ones for each phase of the rule."""
        return self.config.epochs * self.engine.objective.num_phases

    def fit(self) -> TrainingResult:
        """Train from the latest checkpoint, or from the start, to the last epoch.

        Raises:
            TrainingError: if a loss is not finite.
            CheckpointError: if a checkpoint cannot be written, or belongs to another run.
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
            self.next_epoch = epoch + 1
            self.result.seconds += time.perf_counter() - started
            self.result.history.append({"train/epoch": float(epoch + 1), **metrics})
            self.recorder.metrics(metrics, step=epoch + 1)
            if last or (epoch + 1) % self.config.checkpoint_every == 0:
                self._save()
        times = summarise_steps(self._step_times)
        if times is not None:
            self.result.step_seconds = times.median
            self.result.step_seconds_iqr = times.iqr
        self.result.peak_memory_bytes = peak_memory_bytes(self.engine.device)
        return self.result

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training set. The step clock stops while waiting for data."""
        phase_steps = self.config.epochs * self.train.num_batches
        num_steps = self.num_epochs * self.train.num_batches
        first_step = epoch * self.train.num_batches
        reports: list[list[BlockParts]] = []
        waited, stepped, learning_rate = 0.0, 0.0, 0.0
        ready = time.perf_counter()
        for index, batch in enumerate(self.train.batches(epoch)):
            begun = time.perf_counter()
            waited += begun - ready
            step = first_step + index
            learning_rate = learning_rate_at(
                step % phase_steps, phase_steps, self.schedule, self.optimizer.learning_rate
            )
            reports.append(self.engine.train_step(batch, step, learning_rate, step / num_steps))
            synchronize(self.engine.device)
            ready = time.perf_counter()
            self._step_times.append(ready - begun)
            stepped += ready - begun
        metrics = _mean_losses(reports)
        _check_finite(metrics, epoch)
        return metrics | {
            "train/learning_rate": learning_rate,
            "speed/step_seconds": stepped / len(reports),
            "speed/samples_per_second": self.train.num_samples / stepped,
            "speed/loader_wait_seconds": waited,
            "memory/peak_bytes": float(peak_memory_bytes(self.engine.device)),
        }

    def _validate(self, source: BatchSource) -> dict[str, float]:
        evaluation = evaluate(self.engine, source)
        classes = self.engine.objective.task.is_classification
        metrics: dict[str, float] = {}
        for block, predictions in evaluation.predictions_N.items():
            values = {
                "loss": evaluation.losses[block],
                **score(predictions, evaluation.targets_N, classification=classes),
            }
            metrics |= {f"val/block{block + 1}/{name}": value for name, value in values.items()}
            if block == len(self.engine.chain) - 1:
                metrics |= {f"val/{name}": value for name, value in values.items()}
        if evaluation.ensemble_N is not None:
            values = score(evaluation.ensemble_N, evaluation.targets_N, classification=classes)
            metrics |= {f"val/ensemble/{name}": value for name, value in values.items()}
        return metrics

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        state: dict[str, Any] = {
            "next_epoch": self.next_epoch,
            "history": self.result.history,
            "seconds": self.result.seconds,
            "step_times": self._step_times,
            "chain": self.engine.chain.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.engine.optimizers],
            "averages": [average.state_dict() for average in self.engine.averages],
        }
        self.checkpoints.save(state)
        self.recorder.event("checkpoint", epoch=self.next_epoch)

    def _resume(self) -> None:
        state = None if self.checkpoints is None else self.checkpoints.load()
        if state is None:
            return
        self.next_epoch = state["next_epoch"]
        self.result.history = state["history"]
        self.result.seconds = state["seconds"]
        self._step_times = state["step_times"]
        self.engine.chain.load_state_dict(state["chain"])
        for optimizer, saved in zip(self.engine.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for average, saved in zip(self.engine.averages, state["averages"], strict=True):
            average.load_state_dict(saved)
        self.recorder.event("resumed", epoch=self.next_epoch)


def _mean_losses(reports: list[list[BlockParts]]) -> dict[str, float]:
    """Mean of every loss over an epoch's steps, under the names of the closed list.

    ``train/loss`` is that of the last block that has one: of the network's own output, unless
    blocks train one after the other or contrast labels.
    """
    metrics: dict[str, float] = {}
    for block in range(len(reports[0])):
        for part in reports[0][block]:
            values = [report[block][part] for report in reports if part in report[block]]
            metrics[f"train/block{block + 1}/{part}"] = float(torch.stack(values).mean())
        for name in ("output_loss", "loss"):
            if name in reports[0][block]:
                metrics["train/loss"] = metrics[f"train/block{block + 1}/{name}"]
                break
    return metrics


def _check_finite(metrics: dict[str, float], epoch: int) -> None:
    broken = [name for name, value in metrics.items() if not abs(value) < float("inf")]
    if broken:
        raise TrainingError(
            f"epoch {epoch + 1}: {broken[0]} is {metrics[broken[0]]}; lower "
            "optimizer.learning_rate or set optimizer.clip_norm"
        )
