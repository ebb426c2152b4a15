"""The comparison as MLflow shows it: one parent run, one child for each arm and seed.

A child's curves have the fold in front (``fold1/val/mae_years``) where there are several folds;
when its folds are done, their mean follows without it, and so do the errors of the tested scans.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brainage.config.compare import CompareConfig
from brainage.config.load import config_hash, flatten
from brainage.config.run import RunConfig
from brainage.core.types import Recorder, Scalar, SilentRecorder
from brainage.tracking.recorders import RunRecord, open_recorders
from brainage.workflows.compare.fit import LAST, FitRow
from brainage.workflows.compare.results import Results, leader_fraction_of, median_or_none
from brainage.workflows.train.run_folder import RunFolder

_PARENT = "mlflow_run_id"


class FoldRecorder:
    """Passes what a fit reports on to the record of its arm and seed, with the fold in front.

    Args:
        recorder: of the arm and seed.
        prefix: like ``fold1/``; empty where there is one part only.
    """

    def __init__(self, recorder: Recorder, prefix: str) -> None:
        self._recorder = recorder
        self._prefix = prefix

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """The arm's settings are recorded when its record is opened."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Forward numbers of an epoch."""
        named = {f"{self._prefix}{name}": value for name, value in values.items()}
        self._recorder.metrics(named, step)

    def event(self, kind: str, **fields: Scalar) -> None:
        """Forward something that happened."""
        self._recorder.event(kind, part=self._prefix.rstrip("/"), **fields)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Forward a file."""
        self._recorder.artifact(path, folder)

    def close(self, status: str) -> None:
        """The record is closed when all folds are done."""


def open_parent(config: CompareConfig, folder: RunFolder) -> RunRecord:
    """The record of the whole comparison, continued when it is resumed."""
    record = open_recorders(
        config.run.tracking,
        folder.path,
        run_name=folder.path.name,
        tags={"comparison": folder.path.name, "kind": "comparison", "reference": config.reference},
        working_folder=Path.cwd(),
        mlflow_run_id=folder.recall().get(_PARENT),
    )
    folder.remember(**{_PARENT: record.mlflow_run_id})
    record.recorder.parameters(_shared_settings(config))
    return record


class ChildRun:
    """The record of one arm with one seed.

    Args:
        config: the arm's configuration with the seed.
        arm: its name.
        folder: of the comparison.
        parent_run_id: in MLflow.
    """

    def __init__(
        self, config: RunConfig, arm: str, folder: RunFolder, parent_run_id: str | None
    ) -> None:
        self._name = f"{arm}-seed{config.seed}"
        self._folder = folder
        self.record: RunRecord | None = None
        if self.is_done:
            return
        key = f"mlflow_run_id_{self._name}"
        place = folder.path / "arms" / self._name
        place.mkdir(parents=True, exist_ok=True)
        self.record = open_recorders(
            # One sampling of the machine's load, the parent's, is enough.
            replace(config.tracking, system_metrics=False),
            place,
            run_name=f"{folder.path.name}-{self._name}",
            tags=_tags(config, arm, folder),
            working_folder=Path.cwd(),
            mlflow_run_id=folder.recall().get(key),
            parent_run_id=parent_run_id,
        )
        folder.remember(**{key: self.record.mlflow_run_id})
        self.record.recorder.parameters(flatten(config))

    @property
    def is_done(self) -> bool:
        """Whether an interrupted call closed it before."""
        return self._folder.recall().get(f"closed_{self._name}") is not None

    def of_part(self, prefix: str) -> Recorder:
        """Where the fit of one part reports to."""
        if self.record is None:
            return SilentRecorder()
        return FoldRecorder(self.record.recorder, prefix)

    def finish(self, rows: Sequence[FitRow], results: Mapping[str, float]) -> None:
        """Report means over folds and results, and close.

        Args:
            rows: of all folds.
            results: held-out errors and costs by metric name.
        """
        if self.record is None:
            return
        recorder = self.record.recorder
        if len(rows) > 1:
            for epoch, values in mean_curves(rows):
                recorder.metrics(values, step=epoch)
        for row in rows:
            if row.failed:
                recorder.event("fit_failed", fold=row.fold, reason=row.reason)
        # At step 0, as those of a training run: MLflow then draws them as bars.
        recorder.metrics(results, step=0)
        status = "failed" if any(row.failed for row in rows) else "finished"
        recorder.close(status)
        self._folder.remember(**{f"closed_{self._name}": status})

    def abandon(self, status: str) -> None:
        """Close what is not done; resuming goes on with it."""
        if self.record is not None:
            self.record.recorder.close(status)


def mean_curves(rows: Sequence[FitRow]) -> list[tuple[int, dict[str, float]]]:
    """For every epoch the mean over folds of what all of them validated then."""
    points: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    fits = [row for row in rows if not row.failed]
    for row in fits:
        for entry in row.history:
            for name, value in entry.items():
                if "/" in name:
                    points[int(entry["epoch"])][name].append(value)
    means = [
        (epoch, {n: float(np.mean(v)) for n, v in values.items() if len(v) == len(fits)})
        for epoch, values in sorted(points.items())
    ]
    return [(epoch, values) for epoch, values in means if values]


def results_of_child(results: Results, rows: Sequence[FitRow]) -> dict[str, float]:
    """Held-out errors and costs of one arm and seed by metric name.

    MAE is that of all folds' scans together, and of each fold; nothing where a fit failed.
    """
    cost = results.costs.get(rows[0].arm)
    found: dict[str, float | None] = {}
    if cost is not None:
        found = {
            "speed/step_seconds": cost.step_seconds,
            "speed/samples_per_second": cost.samples_per_second,
            "memory/peak_bytes": float(cost.peak_memory_bytes),
            "energy/joules_per_step": cost.joules_per_step,
        }
    if not any(row.failed for row in rows):
        for answer in rows[0].predicted:
            middle = "" if answer == LAST else f"{answer}/"
            found[f"test/{middle}mae_years"] = float(np.nanmean(results.errors(rows, answer)))
        if len(rows) > 1:
            found |= {f"fold{row.fold}/test/mae_years": results.mae_of(row) for row in rows}
        epochs = [results.epochs_to_target(row) for row in rows]
        seconds = [results.seconds_to_target(row) for row in rows]
        found["speed/epochs_to_target"] = median_or_none(epochs)
        found["speed/seconds_to_target"] = median_or_none(seconds)
    return {name: value for name, value in found.items() if value is not None}


def _tags(config: RunConfig, arm: str, folder: RunFolder) -> dict[str, Scalar]:
    fraction = leader_fraction_of(config)
    return {
        "comparison": folder.path.name,
        "arm": arm,
        "seed": config.seed,
        "objective": config.objective.name,
        "num_blocks": config.blocks.num_blocks,
        "leader_fraction": "none" if fraction is None else fraction,
        "backbone": config.backbone.name,
        "config_hash": config_hash(config)[:16],
    }


def _shared_settings(config: CompareConfig) -> dict[str, Scalar]:
    """What all arms share, and the comparison's own settings."""
    own: dict[str, Scalar] = {
        "reference": config.reference,
        "arms": ", ".join(config.arms),
        "seeds": ", ".join(str(seed) for seed in config.seeds),
        "target_mae_years": config.target_mae_years,
    }
    shared = flatten(config.run)
    changed = {key for arm in config.arms.values() for key in arm}
    return own | {
        key: value
        for key, value in shared.items()
        if key.partition(".")[0] not in {"name", "seed", *changed}
    }
