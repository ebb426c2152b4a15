"""What every block predicts of a set of samples, gathered over all devices."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from brainage.core.engine import SingleDeviceEngine
from brainage.core.metrics import score
from brainage.core.objectives import Objective
from brainage.core.tasks import predict_together
from brainage.core.types import BatchSource


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


def validation_metrics(evaluation: Evaluation, objective: Objective) -> dict[str, float]:
    """Losses and headline metrics of every block, of the network's answer and of the ensemble."""
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
