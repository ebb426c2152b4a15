"""What a run's report says: filled by the workflow, turned into a page by ``reporting.report``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from brainage.reporting.metrics import AgeMetrics
from brainage.reporting.training_figures import History

Evaluation = Literal["holdout", "kfold"]


@dataclass(frozen=True, kw_only=True)
class PredictedScan:
    """One prediction for a scan that its model did not see in training."""

    scan: str
    """Path, as the user knows it."""

    subject: str
    age_years: float

    predicted_age: float
    """Years, not corrected for age bias."""

    sex: str | None = None
    site: str | None = None

    fold: int | None = None
    """From 0; None for a single split."""

    training_mean_age_years: float | None = None
    """Mean age of the scans that this scan's model was trained on."""

    session: str | None = None

    interval_low: float | None = None
    """Lower end of the prediction's interval, years; None where the model gives none."""

    interval_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class FailedScan:
    """A scan that could not be used."""

    scan: str

    stage: str
    """Where it failed, one of ``ScanError.STAGES``."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Another method on the same held-out scans."""

    name: str
    mae_years: float
    low: float | None = None
    high: float | None = None

    note: str = ""
    """What it is, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the run took; None is unknown and left out."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock of each stage: ``preprocess``, ``train``, ``evaluate``."""

    step_seconds: float | None = None
    """Median of one training step, without loading and evaluation."""

    samples_per_second: float | None = None

    peak_memory_bytes: int | None = None
    """Of the process, or of the device when there is one."""

    device: str = ""
    """Name and number of the devices."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Everything that ``report.html`` shows of a training run."""

    run_name: str
    created: datetime

    evaluation: Evaluation
    """``holdout``: one test set; ``kfold``: every scan predicted by the fold that left it out."""

    objective: str
    backbone: str
    num_blocks: int

    metrics: AgeMetrics
    """Of ``predictions``, with the baseline of predicting the training mean."""

    predictions: tuple[PredictedScan, ...]
    """Held-out scans only, at least one."""

    split_sizes: Mapping[str, int]
    """Scans per part, in the order shown: train, validation, test; or of the folds."""

    training_age_range_years: tuple[float, float] | None = None

    block_mae_years: Mapping[str, float] = field(default_factory=dict)
    """Held-out MAE of each block's own prediction, first block first."""

    history: History = field(default_factory=dict)
    """The training's metrics; ``metric_history`` reads them from the run's events."""

    failed_scans: tuple[FailedScan, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    cost: Cost = field(default_factory=Cost)

    config_yaml: str = ""
    """The resolved configuration."""

    notes: tuple[str, ...] = ()
    """Further sentences for the reader, as plain text."""

    def __post_init__(self) -> None:
        """Check that there is something to report.

        Raises:
            ValueError: if there is no prediction, or the metrics are of other predictions.
        """
        if not self.predictions:
            raise ValueError("predictions: expected at least one held-out scan, got none")
        if self.metrics.n != len(self.predictions):
            raise ValueError(
                f"metrics: expected those of {len(self.predictions)} predictions, "
                f"got those of {self.metrics.n}"
            )
