"""What a finished training run leaves behind: model, metrics, report, predictions, MLflow run."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from brainage.bundle.model import ModelBundle
from brainage.bundle.versions import recorded_versions
from brainage.config.load import dump_config
from brainage.config.run import RunConfig
from brainage.core.timing import describe_device
from brainage.reporting.history import metric_history
from brainage.reporting.report import write_figures, write_report
from brainage.reporting.run_report import Cost, FailedScan, RunReport
from brainage.scans.manifest import Manifest, read_manifest
from brainage.tracking.jsonl import read_events
from brainage.workflows.predict.run import predict_records
from brainage.workflows.summary import TrainSummary
from brainage.workflows.train.finished_run import FinishedRun
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.run_folder import write_text
from brainage.workflows.train.run_model import write_model
from brainage.workflows.train.run_notes import (
    how_it_was_tested,
    how_it_was_timed,
    what_was_trained,
)
from brainage.workflows.train.scored_once import (
    networks_digest,
    refuse_second_scoring,
    remember_scoring,
    scans_digest,
)

MODEL_LOADER = "brainage.workflows.predict.serving:load_server"


def write_results(run: FinishedRun) -> TrainSummary:
    """Write every result of a run and report them to its recorders.

    Raises:
        RunFolderError: if something cannot be written.
    """
    tested = [part for part in run.planned if part.split.test]
    scans = scans_digest(run.cohort.keys[index] for part in tested for index in part.split.test)
    networks = networks_digest({part.name: run.fits[part.name].chain for part in tested})
    refuse_second_scoring(run.folder, scans, networks)
    notes = how_it_was_tested(run.config, run.cohort.records, run.fits)
    bundle = write_model(run, notes)
    remember_scoring(run.folder, scans, networks, bundle.model_hash)
    write_text(run.folder.held_out, run.held_out.csv())
    if len(run.repeats.each) > 1:
        write_text(run.folder.held_out_by_repeat, run.repeats.csv())
    summary = _summary(run, failed_unseen=_predict_unseen(run, bundle))
    write_text(run.folder.metrics, json.dumps(summary.to_json(), indent=2) + "\n")
    report = _report(run, notes)
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
        kept={
            "networks": len(run.kept_parts),
            "views": run.config.inference.test_time_augmentation,
        },
        repeats=run.repeats.summary() if len(run.repeats.each) > 1 else None,
        search={
            name: {"chosen": fit.choice.candidate, "mae_years": dict(fit.choice.mae_years)}
            for name, fit in run.fits.items()
            if fit.choice is not None
        },
        epochs=run.epochs,
        mlflow_run_id=run.record.mlflow_run_id,
    )


def _report(run: FinishedRun, notes: Sequence[str]) -> RunReport:
    result = run.kept.result
    part = run.kept_parts[0].name if len(run.planned) > 1 else None
    events = read_events(run.folder.events_of(part))
    step = result.step_seconds
    ages = run.cohort.ages_years[run.training]
    return RunReport(
        run_name=run.folder.path.name,
        created=datetime.now(UTC),
        evaluation="kfold" if run.config.split.has_folds else "holdout",
        objective=run.config.objective.name,
        backbone=run.config.backbone.name,
        num_blocks=run.config.blocks.num_blocks,
        metrics=run.held_out.metrics(),
        predictions=run.held_out.rows(folds=run.config.split.has_folds),
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
        notes=(
            *what_was_trained(run.kept.config, run.kept.chain.parameter_counts()),
            *notes,
            *how_it_was_timed(resumed="resumed" in run.folder.recall()),
        ),
    )


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
    }
    if run.config.split.has_folds:  # else its epochs have told them, and a curve would end twice
        values["speed/step_seconds"] = run.kept.result.step_seconds
        values["memory/peak_bytes"] = float(run.kept.result.peak_memory_bytes)
    for block, ages in run.held_out.block_mae_years().items():
        values[f"test/{block.replace(' ', '')}/mae_years"] = ages
    known = {name: value for name, value in values.items() if value is not None}
    recorder.metrics(known, step=0)  # results have no epoch: MLflow draws them as bars, run by run
    for path in (run.folder.report, run.folder.metrics, run.folder.config, run.folder.held_out):
        recorder.artifact(path)
    if run.folder.held_out_by_repeat.exists():
        recorder.artifact(run.folder.held_out_by_repeat)
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
