"""The closed list of metric names, and the metrics training itself needs."""

import re

import torch
from torch import Tensor

METRIC_NAMES = re.compile(
    r"""
    (fold\d+/)?(
    (train|val|test)/(block\d+/)?(loss|leader_loss|follower_loss|output_loss|similarity_loss)
    | (train|val|test)/(block\d+/|ensemble/)?(mae_years|accuracy)
    | (val|test)/(block\d+/|ensemble/)?(rmse_years|r2|pearson_r|mae_mean_baseline_years)
    | train/(learning_rate|epoch)
    | speed/(step_seconds|step_seconds_iqr|samples_per_second|loader_wait_seconds|epoch_seconds)
    | memory/peak_bytes
    )
    | speed/(epochs_to_target|seconds_to_target)
    | energy/joules_per_step
    """,
    re.VERBOSE,
)
"""Every metric a run may report; blocks and folds are counted from 1, as in figures and tables."""


def check_metric_name(name: str) -> None:
    """Raise a ValueError for a name outside the closed list."""
    if not METRIC_NAMES.fullmatch(name):
        raise ValueError(f"unknown metric name {name!r}; see core.metrics.METRIC_NAMES")


def mean_absolute_error(predictions: Tensor, targets: Tensor) -> float:
    """Mean absolute error of predictions (N,) in the targets' unit."""
    return float((predictions.double() - targets.double()).abs().mean())


def accuracy(predictions: Tensor, targets: Tensor) -> float:
    """Share of class indices (N,) that are right."""
    return float((predictions == targets).double().mean())


def score(predictions: Tensor, targets: Tensor, *, classification: bool) -> dict[str, float]:
    """The headline metric of a task under its name in the closed list."""
    if classification:
        return {"accuracy": accuracy(predictions, targets)}
    return {"mae_years": mean_absolute_error(predictions, targets)}


def all_finite(values: Tensor) -> bool:
    """Whether no value is infinite or not a number."""
    return bool(torch.isfinite(values).all())
