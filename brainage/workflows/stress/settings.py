"""The settings of a stress test, from a file and options."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brainage.config.files import apply_overrides, find_config, read_config
from brainage.config.validation import validate
from brainage.errors import ConfigError
from brainage.stress.config import StressConfig


def stress_settings(
    path: Path | None, overrides: Sequence[str], budget_years: float | None
) -> StressConfig:
    """Load, override and validate.

    Args:
        path: a file with keys of `StressConfig`; None takes the defaults.
        overrides: like ``budgets.noise=1``, applied in order.
        budget_years: one budget for all perturbations.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    content: dict[str, Any] = {}
    if path is not None:
        content = read_config(StressConfig, find_config(path))
    config = validate(StressConfig, apply_overrides(StressConfig, content, overrides))
    if budget_years is None:
        return config
    if content.get("budgets") or any(each.startswith("budgets") for each in overrides):
        raise ConfigError("budget: give either --budget for all perturbations or budgets by name")
    if not 0 < budget_years <= 100:
        raise ConfigError(f"budget: expected years above 0, at most 100, got {budget_years:g}")
    return config.with_budget(budget_years)
