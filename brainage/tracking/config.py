"""Settings of what a run reports and where to."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where a run is recorded besides its own ``events.jsonl``, which is always written."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, not a field

    mlflow: bool = True
    """Record the run with MLflow."""

    experiment: str = "brainage"
    """Name of the MLflow experiment that the run belongs to; created when it does not exist."""

    system_metrics: bool = True
    """Sample processor, memory, disk, network and accelerator load every ten seconds."""

    uri: str | None = None
    """MLflow store; None takes MLFLOW_TRACKING_URI, or else mlflow.db in the working folder."""

    dataset_name: str | None = None
    """What MLflow calls the cohort; None takes the name of the manifest's file."""

    upload_predictions: bool = False
    """Send tables with a row for each scan too; they name scans and subjects."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: if a value cannot name an experiment, a store or a cohort.
        """
        if not self.experiment.strip():
            raise ValueError(f"experiment: expected a name, got {self.experiment!r}")
        if self.uri is not None and not self.uri.strip():
            raise ValueError(f"uri: expected a store like sqlite:///mlflow.db, got {self.uri!r}")
        if self.dataset_name is not None and not self.dataset_name.strip():
            raise ValueError(f"dataset_name: expected a name, got {self.dataset_name!r}")

    def resolved_uri(self, folder: Path) -> str:
        """The store of a run whose working folder is ``folder``."""
        default = f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or default
