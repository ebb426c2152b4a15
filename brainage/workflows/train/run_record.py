"""The record of a run and of its parts: events, MLflow, and how far training is."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from brainage.config.run import RunConfig
from brainage.core.types import Recorder
from brainage.reporting.counts import counted
from brainage.tracking.progress import EpochProgress
from brainage.tracking.recorders import RunRecord, open_recorders
from brainage.workflows.train.plan_fits import PlannedFit
from brainage.workflows.train.run_facts import report_dataset, report_datasets, tags_of_run
from brainage.workflows.train.run_fits import SharedRun
from brainage.workflows.train.run_folder import RunFolder

_log = logging.getLogger(__name__)


@dataclass
class Clock:
    """Wall-clock seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the body's time to a stage."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


def open_record(
    config: RunConfig, folder: RunFolder, part: str | None, parent: str | None
) -> RunRecord:
    """Recorders of the run, or of one of its parts, continued when the run is resumed."""
    name = folder.path.name if part is None else f"{folder.path.name}-{part}"
    key = f"mlflow_run_id_{part}" if part else "mlflow_run_id"
    events = folder.events_of(part)
    events.parent.mkdir(parents=True, exist_ok=True)
    record = open_recorders(
        config.tracking,
        events.parent,
        run_name=name,
        tags=tags_of_run(config, part),
        working_folder=Path.cwd(),
        mlflow_run_id=folder.recall().get(key),
        parent_run_id=parent,
    )
    folder.remember(**{key: record.mlflow_run_id})
    return record


class RunAudience:
    """Where a run has several parts, each has a record of its own below the run's.

    Args:
        run: what is trained.
        folder: the run's folder.
        record: the run's own.
    """

    def __init__(self, run: SharedRun, folder: RunFolder, record: RunRecord) -> None:
        self._run = run
        self._folder = folder
        self._record = record
        if len(run.planned) > 1:
            everyone = range(len(run.cohort.records))
            report_dataset(
                record.recorder, run.config, run.cohort, everyone, context="cross-validation"
            )

    @contextmanager
    def of_part(self, part: PlannedFit) -> Iterator[Recorder]:
        """The part's record; the run's own where it is the only part."""
        run = self._run
        if len(run.planned) == 1:
            report_datasets(self._record.recorder, run.config, run.cohort, part.split)
            yield self._record.recorder
            return
        record = open_record(run.config, self._folder, part.name, self._record.mlflow_run_id)
        status = "failed"
        try:
            report_datasets(record.recorder, run.config, run.cohort, part.split)
            yield record.recorder
            status = "finished"
        finally:
            record.recorder.close(status)

    @contextmanager
    def of_fit(self, label: str, num_scans: int, epochs: int) -> Iterator[Recorder]:
        """A bar that shows how far the fit is."""
        _log.info("training %s on %s", label, counted(num_scans, "scan"))
        progress = EpochProgress(epochs)
        try:
            yield progress
        finally:
            progress.close("finished")
