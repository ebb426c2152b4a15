"""What a comparison leaves behind: page, figures, tables, and all of them in the tracking run."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from brainage.bundle.versions import recorded_versions
from brainage.config.compare import dump_compare_config
from brainage.reporting.comparison import Comparison
from brainage.reporting.comparison_page import write_comparison_figures, write_comparison_page
from brainage.reporting.csv_text import csv_text
from brainage.tracking.recorders import RunRecord
from brainage.workflows.compare.results import Results
from brainage.workflows.compare.summary import (
    CompareSummary,
    arm_rows,
    contrast_rows,
    fit_rows,
    prediction_rows,
)
from brainage.workflows.train.run_folder import RunFolder, write_text

PAGE = "comparison.html"
_MEASURED = "steps run in turn with the other arms', without loading, validation and checkpoints"
_OWN_CLOCK = "each fit's own clock, without validation and checkpoints"


def write_comparison(
    results: Results, folder: RunFolder, record: RunRecord, seconds: Mapping[str, float]
) -> CompareSummary:
    """Write every result and report it.

    Args:
        results: all rows.
        folder: of the comparison.
        record: of the comparison, which gets the files too.
        seconds: wall clock of each stage of this call.

    Raises:
        RunFolderError: if something cannot be written.
    """
    comparison = _comparison(results, folder)
    summary = CompareSummary(
        run_dir=folder.path,
        parent_run_id=record.mlflow_run_id,
        rows=fit_rows(results),
        comparison=comparison,
        seconds=dict(seconds),
    )
    tables = {
        "comparison.csv": csv_text(arm_rows(comparison.arms)),
        "contrasts.csv": csv_text(contrast_rows(comparison.contrasts)),
        "fits.csv": csv_text(summary.rows),
        "held_out_predictions.csv": csv_text(prediction_rows(results)),
        "comparison.json": json.dumps(summary.to_json(), indent=1) + "\n",
    }
    for name, text in tables.items():
        write_text(folder.path / name, text)
    page = folder.path / PAGE
    write_comparison_page(comparison, page)
    write_comparison_figures(comparison, folder.figures)
    files: list[Path] = [page, folder.config, *(folder.path / name for name in tables)]
    for path in [*files, folder.figures]:
        record.recorder.artifact(path)
    return summary


def _comparison(results: Results, folder: RunFolder) -> Comparison:
    config = results.config
    ages = results.cohort.ages_years[results.tested]
    backbone = next(iter(results.arms.values())).backbone
    return Comparison(
        name=folder.path.name,
        created=datetime.now(UTC),
        reference=config.reference,
        seeds=config.seeds,
        num_folds=max(row.fold for row in results.rows),
        num_scans=len(results.tested),
        num_subjects=len(set(results.subjects)),
        age_range_years=(float(ages.min()), float(ages.max())),
        backbone=backbone.name,
        arms=tuple(results.arm_result(name) for name in results.arms),
        baselines=tuple(results.baseline_results()),
        contrasts=tuple(results.contrasts()),
        target_mae_years=config.target_mae_years,
        seconds_are=_MEASURED if results.costs else _OWN_CLOCK,
        failed_scans=len(results.cohort.failed),
        num_stages=backbone.num_stages,
        versions=recorded_versions(),
        config_yaml=dump_compare_config(config),
    )
