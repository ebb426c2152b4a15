"""Made-up comparisons of training rules for the tests of their page."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from brainage.reporting.comparison import (
    ArmCost,
    ArmResult,
    BaselineResult,
    Comparison,
    Contrast,
    CurvePoint,
)
from brainage.reporting.estimates import Estimate

COST = ArmCost(
    step_seconds=0.1,
    step_seconds_iqr=0.01,
    samples_per_second=40.0,
    peak_memory_bytes=300 * 1024**2,
    activation_bytes=200 * 1024**2,
    joules_per_step=None,
    energy_counter="no counter",
    device_name="CPU, 1 thread",
)


def arm(name: str, error_years: float, objective: str = "lfnn_l", **fields: Any) -> ArmResult:
    filled: dict[str, Any] = {
        "num_blocks": 2,
        "leader_fraction": None if objective == "bp" else 0.5,
        "num_fits": 2,
        "mae_years": Estimate(error_years, error_years - 1, error_years + 1),
        "mae_by_seed": (error_years - 0.25, error_years + 0.25),
        "block_ends": (2, 4),
        "block_mae_years": (error_years + 1, error_years),
        "validation_mae_years": 5.0,
        "curve": tuple(CurvePoint(epoch=e, seconds=2.0 * e, mae_years=9.0 / e) for e in (1, 2, 3)),
        "epochs_to_target": 2,
        "seconds_to_target": 4.0,
        "num_reached": 2,
        "cost": COST,
        "parameters": {"body": 1000, "output": 234},
    }
    return ArmResult(name=name, objective=objective, **(filled | fields))


def comparison(**fields: Any) -> Comparison:
    filled: dict[str, Any] = {
        "name": "rules",
        "created": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "reference": "bp",
        "seeds": (0, 1),
        "num_folds": 1,
        "num_scans": 24,
        "num_subjects": 20,
        "age_range_years": (5.0, 60.0),
        "backbone": "cnn3d",
        "num_stages": 4,
        "arms": (
            arm("bp", 4.0, "bp"),
            arm("local", 4.5, cost=replace(COST, step_seconds=0.05)),
            arm("wild", 9.0, failures=("seed 0, fold 1: epoch 1: <nan>",), mae_years=None,
                mae_by_seed=(), block_mae_years=(), block_ends=()),
        ),
        "baselines": (
            BaselineResult(name="mean", mae_years=Estimate(12.0, 11.0, 13.0), mae_by_seed=(12.0,)),
        ),
        "contrasts": (
            Contrast(a="local", b="bp", num_scans=24, difference_years=Estimate(0.5, 0.125, 0.875)),
            Contrast(a="bp", b="mean", num_scans=24, difference_years=Estimate(-8.0, -9.0, -7.0)),
        ),
        "target_mae_years": None,
        "seconds_are": "steps run in turn",
        "versions": {"torch": "2"},
        "config_yaml": "name: <rules>",
    }  # fmt: skip
    return Comparison(**(filled | fields))
