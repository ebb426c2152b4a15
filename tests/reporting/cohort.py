"""Made-up predictions and reports for the tests of reporting."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from brainage.reporting.evaluation import evaluate_predictions
from brainage.reporting.evaluation_report import EvaluationReport
from brainage.reporting.metrics import age_metrics
from brainage.reporting.run_report import (
    Baseline,
    Cost,
    FailedScan,
    PredictedScan,
    RunReport,
)


def predicted_scans(n: int = 24, *, kfold: bool = False, **names: Any) -> tuple[PredictedScan, ...]:
    """Scans of two sites with a gap that falls with age; ``names`` replaces fields of the first."""
    random = np.random.default_rng(0)
    scans = []
    for index in range(n):
        age = float(random.uniform(5, 60))
        fields: dict[str, Any] = {
            "scan": f"scans/sub-{index}_T1w.nii.gz",
            "subject": f"sub-{index}",
            "age_years": age,
            "predicted_age": 0.8 * age + 6 + float(random.normal(0, 3)),
            "sex": ("F", "M", None)[index % 3],
            "site": ("north", "south")[index % 2],
            "fold": index % 3 if kfold else None,
            "training_mean_age_years": 30.0,
        }
        scans.append(PredictedScan(**(fields | (names if index == 0 else {}))))
    return tuple(scans)


def repeated_scans(num_subjects: int = 12) -> tuple[PredictedScan, ...]:
    """Two scans of each subject, a year apart, whose predicted ages move with a year and noise."""
    random = np.random.default_rng(1)
    scans = []
    for index in range(num_subjects):
        age, own_gap = float(random.uniform(20, 60)), float(random.normal(0, 5))
        scans += [
            PredictedScan(
                scan=f"sub-r{index}/ses-{session}_T1w.nii.gz",
                subject=f"sub-r{index}",
                session=f"ses-{session}",
                age_years=age + session,
                predicted_age=age + session + own_gap + float(random.normal(0, 1)),
                sex="FM"[index % 2],
                site="north",
            )
            for session in (1, 2)
        ]
    return tuple(scans)


def evaluation_report(
    predictions: tuple[PredictedScan, ...] | None = None, **fields: Any
) -> EvaluationReport:
    """A report of an evaluation with everything filled in; ``fields`` replaces parts of it."""
    if "evaluation" not in fields:
        scans = predicted_scans(30) + repeated_scans() if predictions is None else predictions
        fields["evaluation"] = evaluate_predictions(scans)
    filled: dict[str, Any] = {
        "title": "runs/try/model",
        "source": "scans.csv",
        "created": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "checks": ("No scan comes twice.",),
        "warnings": ("3 models have been scored on these scans.",),
        "num_models": 3,
        "facts": {"model hash": "0123456789abcdef"},
        "failed_scans": (FailedScan(scan="bad.nii", stage="read", reason="no scan"),),
    }
    return EvaluationReport(**(filled | fields))


def run_report(predictions: tuple[PredictedScan, ...] | None = None, **fields: Any) -> RunReport:
    """A report with everything filled in; ``fields`` replaces parts of it."""
    scans = predictions if predictions is not None else predicted_scans()
    metrics = age_metrics(
        [scan.age_years for scan in scans],
        [scan.predicted_age for scan in scans],
        subjects=[scan.subject for scan in scans],
        training_mean_age_years=30.0,
    )
    epochs = range(1, 6)
    filled: dict[str, Any] = {
        "run_name": "try",
        "created": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "evaluation": "holdout",
        "objective": "lfnn_l",
        "backbone": "lfnn3d",
        "num_blocks": 4,
        "metrics": metrics,
        "predictions": scans,
        "split_sizes": {"train": 30, "validation": 6, "test": len(scans)},
        "training_age_range_years": (3.5, 55.0),
        "block_mae_years": {"block 1": 6.0, "block 2": 5.0},
        "history": {
            "train/loss": [(epoch, 1 / epoch) for epoch in epochs],
            "train/block1/loss": [(epoch, 2 / epoch) for epoch in epochs],
            "val/mae_years": [(epoch, 9 / epoch) for epoch in epochs],
        },
        "failed_scans": (
            FailedScan(scan="bad.nii", stage="brain_extraction", reason="no brain & no mask"),
        ),
        "baselines": (Baseline(name="kernel ridge", mae_years=4.24, low=3.9, high=4.6),),
        "cost": Cost(
            seconds={"preprocess": 512.0, "train": 301.5},
            step_seconds=0.0432,
            samples_per_second=92.0,
            peak_memory_bytes=3 * 1024**3,
            device="CPU, 2 cores",
            versions={"torch": "2.13.0"},
        ),
        "config_yaml": "trainer:\n  epochs: 5\n",
        "notes": ("Site and age go together.",),
    }
    return RunReport(**(filled | fields))
