"""Early stopping: the weights of the epoch that validated best, and when to look no further."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from brainage.core.engine import SingleDeviceEngine
from brainage.core.engine_state import answer_tensors, load_answer_tensors
from brainage.core.training_config import EarlyStoppingConfig
from brainage.errors import TrainingError

PREFIX = "best/"
"""What the names of the best epoch's tensors begin with in a checkpoint."""


class EarlyStopping:
    """Follows the validation error of the network's answer.

    The error is the MAE in years, or the share of wrong classes. Every rank follows it by itself:
    an evaluation is the same on all of them, so all come to the same end.

    Args:
        config: patience, and what counts as better.
        engine: whose weights are kept and restored.

    Raises:
        ValueError: if the rule trains block after block, where the answer means nothing before the
            last phase.
    """

    def __init__(self, config: EarlyStoppingConfig, engine: SingleDeviceEngine) -> None:
        if engine.objective.num_phases > 1:
            rule = engine.objective.config.name
            raise ValueError(f"early stopping needs blocks that train together, got '{rule}'")
        self.config = config
        self.engine = engine
        self.best_error: float | None = None
        self.best_epoch: int | None = None
        self.is_over = False
        self._tensors: dict[str, Tensor] = {}

    def observe(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Hear of a validation.

        Args:
            epoch: finished epochs, from 1.
            metrics: with ``val/mae_years`` or ``val/accuracy``.

        Raises:
            TrainingError: if the error is not finite.
        """
        error = watched_error(metrics)
        if not abs(error) < float("inf"):
            raise TrainingError(
                f"epoch {epoch}: the validation error is {error}; lower optimizer.learning_rate or "
                "set optimizer.clip_norm"
            )
        if self.best_error is None or error < self.best_error - self.config.min_delta:
            self.best_error, self.best_epoch = error, epoch
            self._tensors = answer_tensors(self.engine)
        assert self.best_epoch is not None
        self.is_over = epoch - self.best_epoch >= self.config.patience

    def restore(self) -> None:
        """Put the engine's blocks back into the state of the best epoch."""
        if self._tensors:
            load_answer_tensors(self.engine, self._tensors)

    def tensors(self) -> dict[str, Tensor]:
        """The best epoch's weights, under names for a checkpoint."""
        return {PREFIX + name: value for name, value in self._tensors.items()}

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the tensors."""
        return {
            "best_error": self.best_error,
            "best_epoch": self.best_epoch,
            "is_over": self.is_over,
        }

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best_error = facts["best_error"]
        self.best_epoch = facts["best_epoch"]
        self.is_over = facts["is_over"]
        self._tensors = {
            name.removeprefix(PREFIX): value
            for name, value in tensors.items()
            if name.startswith(PREFIX)
        }


def watched_error(metrics: Mapping[str, float]) -> float:
    """Validation error of the network's answer: MAE in years, or the share of wrong classes."""
    if "val/accuracy" in metrics:
        return 1.0 - metrics["val/accuracy"]
    return metrics["val/mae_years"]
