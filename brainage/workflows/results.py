"""What a finished training run leaves behind: model, metrics, report, predictions, MLflow run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brainage.bundle.model import ModelBundle
from brainage.bundle.save import recorded_versions, save_bundle
from brainage.config.load import dump_config
from brainage.config.run import RunConfig
from brainage.core.rules import RULES
from brainage.core.timing import describe_device
from brainage.data.splits import Split
from brainage.reporting.history import metric_history
from brainage.reporting.report import write_figures, write_report
from brainage.reporting.run_report import Cost, FailedScan, RunReport
from brainage.scans.manifest import Manifest, read_manifest
from brainage.tracking.jsonl import read_events
from brainage.tracking.recorders import RunRecord
from brainage.workflows.cohort import Cohort
from brainage.workflows.evaluate_leakage import training_identities
from brainage.workflows.fitting import Fit, device_of
from brainage.workflows.held_out import HeldOut
from brainage.workflows.model_card import model_card
from brainage.workflows.predict import predict_records
from brainage.workflows.run_facts import config_for_model
from brainage.workflows.run_folder import RunFolder, write_text
from brainage.workflows.summary import TrainSummary

MODEL_LOADER = "brainage.workflows.predict:load_predictor"


@dataclass(frozen=True)
class FinishedRun:
    """Everything a run knows when training is over.

    ``splits`` and ``fits`` have the same names: ``holdout``, or ``fold1`` ... and ``final``. The
    last one is the model that is kept.
    """

    config: RunConfig
    cohort: Cohort
    splits: Mapping[str, Split]
    fits: Mapping[str, Fit]
    held_out: HeldOut
    folder: RunFolder
    record: RunRecord
    seconds: Mapping[str, float]

    @property
    def kept(self) -> Fit:
        """The fit whose network becomes the model."""
        return self.fits[self.kept_name]

    @property
    def kept_name(self) -> str:
        """Its name."""
        return list(self.fits)[-1]

    @property
    def has_folds(self) -> bool:
        """Whether the held-out scans come from several folds."""
        return len(self.fits) > 1

    @property
    def split_sizes(self) -> dict[str, int]:
        """Scans in each part."""
        if self.has_folds:
            return {name: len(split.test) for name, split in self.splits.items() if split.test}
        (split,) = self.splits.values()
        return {
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        }


def write_results(run: FinishedRun) -> TrainSummary:
    """Write every result of a run and report them to its recorders.

    Raises:
        RunFolderError: if something cannot be written.
    """
    bundle = _write_bundle(run)
    write_text(run.folder.held_out, run.held_out.csv())
    summary = _summary(run, failed_unseen=_predict_unseen(run, bundle))
    write_text(run.folder.metrics, json.dumps(summary.to_json(), indent=2) + "\n")
    report = _report(run)
    write_report(report, run.folder.report)
    write_figures(report, run.folder.figures)
    _publish(run, bundle)
    return summary


def _predict_unseen(run: FinishedRun, bundle: ModelBundle) -> int:
    """Predict the scans in ``data.unseen``; the number of those that failed."""
    if run.config.data.unseen is None:
        return 0
    records = read_unseen(run.config).records
    out = run.folder.predictions
    return predict_records(records, bundle, out=out, resume=False, jobs=1).failed


def read_unseen(config: RunConfig) -> Manifest:
    """The scans that are only predicted.

    Raises:
        ManifestError: if their table cannot be used.
    """
    assert config.data.unseen is not None
    root = config.data.root_folder()
    return read_manifest(Path(config.data.unseen), root, require_ages=False)


def _write_bundle(run: FinishedRun) -> ModelBundle:
    calibration = _calibration(run)
    return save_bundle(
        run.folder.model,
        config=config_for_model(run.config),
        task=run.kept.task,
        chain=run.kept.chain,
        input_shape=run.cohort.input_shape,
        calibration=calibration,
        card=model_card(run.config, calibration),
    )


def _calibration(run: FinishedRun) -> dict[str, Any]:
    """Training ages of the kept model and the held-out results, as plain JSON values."""
    training = list(run.splits[run.kept_name].train)
    ages = run.cohort.ages_years[training].astype(float)
    records = [run.cohort.records[index] for index in training]
    known = [*training, *run.splits[run.kept_name].validation]
    return {
        "age_unit": "years",
        "training_age_range_years": [float(ages.min()), float(ages.max())],
        "training_mean_age_years": float(ages.mean()),
        "training_scans": len(training),
        "training_sites": sorted({record.site or "unknown" for record in records}),
        "evaluation": "kfold" if run.has_folds else "holdout",
        "held_out": run.held_out.metrics().as_dict(),
        **training_identities(
            [run.cohort.records[index] for index in known],
            [run.cohort.keys[index] for index in known],
        ),
    }


def _summary(run: FinishedRun, failed_unseen: int) -> TrainSummary:
    counts = run.kept.chain.parameter_counts()
    return TrainSummary(
        run_dir=run.folder.path,
        model_dir=run.folder.model,
        objective=run.config.objective.name,
        num_blocks=run.config.blocks.num_blocks,
        split_sizes=run.split_sizes,
        test=run.held_out.metrics().as_dict(),
        block_mae_years=run.held_out.block_mae_years(),
        by_site=run.held_out.by_site(),
        baselines={
            entry.name: {"mae_years": entry.mae_years, "mae_low": entry.low, "mae_high": entry.high}
            for entry in run.held_out.baselines()
        },
        failed_scans=len(run.cohort.failed) + failed_unseen,
        seconds={stage: round(value, 2) for stage, value in run.seconds.items()},
        step_seconds=run.kept.result.step_seconds,
        peak_memory_bytes=run.kept.result.peak_memory_bytes,
        parameters=counts,
        mlflow_run_id=run.record.mlflow_run_id,
    )


def _report(run: FinishedRun) -> RunReport:
    result = run.kept.result
    events = read_events(run.folder.events_of(run.kept_name if run.has_folds else None))
    step = result.step_seconds
    ages = run.cohort.ages_years[list(run.splits[run.kept_name].train)]
    return RunReport(
        run_name=run.folder.path.name,
        created=datetime.now(UTC),
        evaluation="kfold" if run.has_folds else "holdout",
        objective=run.config.objective.name,
        backbone=run.config.backbone.name,
        num_blocks=run.config.blocks.num_blocks,
        metrics=run.held_out.metrics(),
        predictions=run.held_out.rows(folds=run.has_folds),
        split_sizes=run.split_sizes,
        training_age_range_years=(float(ages.min()), float(ages.max())),
        block_mae_years=run.held_out.block_mae_years(),
        history=metric_history(events),
        failed_scans=tuple(
            FailedScan(
                scan=str(outcome.scan), stage=outcome.stage or "", reason=outcome.reason or ""
            )
            for outcome in run.cohort.failed
        ),
        baselines=run.held_out.baselines(),
        cost=Cost(
            seconds=run.seconds,
            step_seconds=step,
            samples_per_second=None if step is None else run.config.trainer.batch_size / step,
            peak_memory_bytes=result.peak_memory_bytes,
            device=describe_device(device_of(run.config)),
            versions=recorded_versions(),
        ),
        config_yaml=dump_config(run.config),
        notes=_notes(run),
    )


def _notes(run: FinishedRun) -> tuple[str, ...]:
    """What a reader has to know beside the numbers."""
    counts = run.kept.chain.parameter_counts()
    added = {
        "the workers": counts["workers"],
        "the hidden blocks' own heads": counts["hidden_outputs"],
        "their auxiliary networks": counts["auxiliary"],
    }
    extra = [f"{what} {count:,}" for what, count in added.items() if count]
    notes = [
        f"The network's stages have {counts['body']:,} parameters and its output head "
        f"{counts['output']:,}. The training rule adds "
        + (f"for {', for '.join(extra)}." if extra else "none.")
    ]
    if RULES[run.config.objective.name].scope == "block":
        notes.append(
            "No gradient crosses a block boundary; inside a block back-propagation is used."
        )
    if run.has_folds:
        notes.append(
            "Every scan was predicted by the fold that left its subject out. The model that is "
            "kept was trained on all scans afterwards; its own error is not measured directly."
        )
    return tuple(notes)


def _publish(run: FinishedRun, bundle: ModelBundle) -> None:
    """Hand results to the recorders, MLflow among them."""
    recorder = run.record.recorder
    step = run.config.total_epochs
    metrics = run.held_out.metrics()
    values = {
        "test/mae_years": metrics.mae_years.value,
        "test/rmse_years": metrics.rmse_years.value,
        "test/pearson_r": metrics.pearson_r.value,
        "test/r2": metrics.r2.value,
        "test/mae_mean_baseline_years": metrics.mae_mean_baseline_years.value,
        "speed/step_seconds": run.kept.result.step_seconds,
        "memory/peak_bytes": float(run.kept.result.peak_memory_bytes),
    }
    for block, ages in run.held_out.block_mae_years().items():
        values[f"test/{block.replace(' ', '')}/mae_years"] = ages
    known = {name: value for name, value in values.items() if value is not None}
    recorder.metrics(known, step=step)
    for path in (run.folder.report, run.folder.metrics, run.folder.config, run.folder.held_out):
        recorder.artifact(path)
    recorder.artifact(run.folder.figures)
    if run.folder.predictions.exists():
        recorder.artifact(run.folder.predictions)
    recorder.event(
        "model",
        folder=run.folder.model.name,
        model_hash=bundle.model_hash,
        name="brainage",
        loader=MODEL_LOADER,
        step=step,
    )
