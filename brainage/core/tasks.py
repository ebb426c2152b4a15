"""What the outputs mean: prediction losses, distributions, and predictions in the user's units.

A task reads raw outputs of workers and heads, shape (..., C), and targets of shape (...): ages in
years, or class indices. Shape letters: B samples, W workers, C outputs of one worker.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from brainage.core.config import TaskConfig

_VECTOR = 16


def _log_softmax(outputs: Tensor) -> Tensor:
    """Logarithm of the softmax over the last axis, (..., C) to (..., C).

    A processor takes it number by number where C is shorter than its vectors, as ten classes are:
    there the classes go to the front, and it is several times as fast.
    """
    if outputs.shape[-1] >= _VECTOR or outputs.device.type != "cpu":
        return F.log_softmax(outputs, dim=-1)
    return F.log_softmax(outputs.movedim(-1, 0).contiguous(), dim=0).movedim(0, -1)


class Task(Protocol):
    """Turns outputs into losses and predictions. Instances hold plain numbers and no tensors."""

    @property
    def output_size(self) -> int:
        """C, the number of outputs of one worker or head."""

    @property
    def is_classification(self) -> bool:
        """Whether targets are class indices rather than ages."""

    def prediction_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of every prediction, unreduced: (..., C) and (...) to (...).

        Targets may have axes of one where outputs have more, as all workers of a sample do.
        """

    def log_probability(self, outputs: Tensor) -> Tensor | None:
        """Log-probabilities (..., C), or None where outputs are not a distribution."""

    def predict(self, outputs: Tensor) -> Tensor:
        """Predictions (...) from outputs (..., C): ages in years, or class indices."""

    def target_distribution(self, targets: Tensor) -> Tensor | None:
        """What a perfect output distribution would be, (...) to (..., C); None as above."""

    def initial_bias(self) -> list[float]:
        """Bias of a fresh head, C numbers: its first prediction is what is known without a scan."""


@dataclass(frozen=True)
class RegressionTask:
    """Age as one number, standardised by the training ages' mean and standard deviation."""

    name: ClassVar[str] = "regression"

    mean_years: float
    sd_years: float
    loss: str

    output_size = 1
    is_classification = False

    def prediction_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """L1 or squared error of the standardised age."""
        error = outputs[..., 0] - (targets - self.mean_years) / self.sd_years
        return error.abs() if self.loss == "l1" else error.square()

    def log_probability(self, outputs: Tensor) -> None:  # noqa: ARG002 - the protocol's argument
        """None: a single number is no distribution."""
        return

    def target_distribution(self, targets: Tensor) -> None:  # noqa: ARG002 - as above
        """None: a single number is no distribution."""
        return

    def predict(self, outputs: Tensor) -> Tensor:
        """Ages in years."""
        return outputs[..., 0] * self.sd_years + self.mean_years

    def initial_bias(self) -> list[float]:
        """Zero, the mean age."""
        return [0.0]


@dataclass(frozen=True)
class SoftBinTask:
    """Age as a distribution over bins, with the L1 loss of its expected age beside it.

    The target is a normal density around the age, discretised over the bin centres. The
    prediction is the distribution's expected age. Source: soft classification of Peng et al.
    2021 (SFCN); the L1 term keeps the expected age unbiased by the bins' edges.
    """

    name: ClassVar[str] = "soft_bins"

    first_centre_years: float
    bin_width_years: float
    output_size: int
    softness: float
    l1_weight: float
    sd_years: float
    prior: tuple[float, ...]

    is_classification = False

    def _centres(self, like: Tensor) -> Tensor:
        steps = torch.arange(self.output_size, device=like.device, dtype=like.dtype)
        return self.first_centre_years + self.bin_width_years * steps

    def target_distribution(self, ages_years: Tensor) -> Tensor:
        """Soft target (..., C) of ages (...)."""
        distance = (self._centres(ages_years) - ages_years[..., None]) / self.bin_width_years
        return torch.softmax(-0.5 * (distance / self.softness).square(), dim=-1)

    def prediction_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """KL divergence from the soft target, plus the weighted L1 of the expected age."""
        log_probability = _log_softmax(outputs)
        target = self.target_distribution(targets.to(outputs.dtype))
        divergence: Tensor = (torch.xlogy(target, target) - target * log_probability).sum(-1)
        expected = (log_probability.exp() * self._centres(outputs)).sum(-1)
        return divergence + self.l1_weight * (expected - targets).abs() / self.sd_years

    def log_probability(self, outputs: Tensor) -> Tensor:
        """Log-probabilities of the bins."""
        return _log_softmax(outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        """Expected age in years."""
        return (torch.softmax(outputs, dim=-1) * self._centres(outputs)).sum(-1)

    def initial_bias(self) -> list[float]:
        """Logits of the training ages' smoothed distribution."""
        return [float(x) for x in torch.tensor(self.prior, dtype=torch.float64).log()]


@dataclass(frozen=True)
class ClassificationTask:
    """One of C classes by logits and cross-entropy."""

    name: ClassVar[str] = "classification"

    output_size: int

    is_classification = True

    def prediction_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        log_probability: Tensor = _log_softmax(outputs)
        index = targets.expand(outputs.shape[:-1])[..., None]
        return -log_probability.gather(-1, index).squeeze(-1)

    def log_probability(self, outputs: Tensor) -> Tensor:
        """Log-probabilities of the classes."""
        return _log_softmax(outputs)

    def target_distribution(self, targets: Tensor) -> Tensor:
        """One-hot distributions."""
        return F.one_hot(targets, self.output_size).float()

    def predict(self, outputs: Tensor) -> Tensor:
        """Class indices."""
        return outputs.argmax(dim=-1)

    def initial_bias(self) -> list[float]:
        """Zeros: all classes alike."""
        return [0.0] * self.output_size


def predict_together(task: Task, outputs: Sequence[Tensor]) -> Tensor:
    """One prediction (...) from the outputs (..., C) of several heads, as an ensemble.

    Distributions are averaged as probabilities; plain ages are averaged.
    """
    log_probabilities = [task.log_probability(each) for each in outputs]
    known = [each for each in log_probabilities if each is not None]
    if not known:
        return task.predict(torch.stack(list(outputs)).mean(0))
    return task.predict(torch.stack(known).logsumexp(0) - math.log(len(known)))


TASKS: dict[str, Callable[..., Task]] = {
    kind.name: kind for kind in (RegressionTask, SoftBinTask, ClassificationTask)
}


def fit_task(config: TaskConfig, training_targets: Tensor) -> Task:
    """The task with its constants taken from the training targets, shape (N,).

    Raises:
        ValueError: without two different training ages, or with a class index out of range.
    """
    if config.name == "classification":
        assert config.num_classes is not None
        highest = int(training_targets.max())
        if highest >= config.num_classes:
            raise ValueError(f"class {highest} does not exist among {config.num_classes} classes")
        return ClassificationTask(config.num_classes)
    ages = training_targets.double()
    if ages.numel() < 2 or float(ages.max()) == float(ages.min()):
        raise ValueError(f"two different training ages are needed, got {ages.tolist()[:3]}")
    sd_years = float(ages.std(correction=0))
    if config.name == "regression":
        return RegressionTask(float(ages.mean()), sd_years, config.loss)
    return _fit_soft_bins(config, ages, sd_years)


def _fit_soft_bins(config: TaskConfig, ages_years: Tensor, sd_years: float) -> SoftBinTask:
    """Bins that reach two soft widths beyond the training ages, so the ends are not clipped."""
    low, high = float(ages_years.min()), float(ages_years.max())
    inner_bins = config.num_bins - 1 - 4 * config.bin_softness
    if inner_bins <= 0:
        raise ValueError(f"{config.num_bins} bins are too few for softness {config.bin_softness}")
    width = (high - low) / inner_bins
    uniform = (1 / config.num_bins,) * config.num_bins
    first = low - 2 * config.bin_softness * width
    task = SoftBinTask(
        first, width, config.num_bins, config.bin_softness, config.l1_weight, sd_years, uniform
    )
    observed = task.target_distribution(ages_years).mean(0)
    prior = 0.9 * observed + 0.1 / config.num_bins
    return SoftBinTask(**{**asdict(task), "prior": tuple(prior.tolist())})


def task_to_mapping(task: Task) -> dict[str, Any]:
    """Plain values, no tuples, that ``task_from_mapping`` turns back into the same task."""
    assert isinstance(task, RegressionTask | SoftBinTask | ClassificationTask)
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(task).items()}
    return {"name": task.name, **plain}


def task_from_mapping(values: dict[str, Any]) -> Task:
    """The task that ``task_to_mapping`` wrote."""
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    return TASKS[str(fields.pop("name"))](**fields)
