"""``brainage calibrate``: fit age line and intervals of a model on a laboratory's own controls.

The networks stay as they are, and so does the raw prediction; see ``docs/adr/0015-honest-ages.md``.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brainage.bundle.age_line import LEAST_AGE_SD_YEARS, ages_allow_slope
from brainage.bundle.golden import replay_golden
from brainage.bundle.honest_numbers import HonestNumbers, fit_honest_numbers
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.bundle.recalibrate import save_recalibrated
from brainage.core.random import derive_seed
from brainage.errors import BundleError, RunFolderError
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.workflows.calibrate.compare import compare
from brainage.workflows.calibrate.controls import (
    Controls,
    choose_controls,
    named_site,
    refuse_few_people,
)
from brainage.workflows.calibrate.new_model import calibration_of_controls, card_of_controls
from brainage.workflows.calibrate.report import (
    CalibrationReport,
    write_calibration_report,
)
from brainage.workflows.calibrate.summary import CalibrateSummary
from brainage.workflows.evaluate.leakage import (
    ScanIdentity,
    identities,
    refuse_repeats,
    refuse_training_scans,
)
from brainage.workflows.evaluate.run import PREDICTIONS, Prediction
from brainage.workflows.evaluate.table import joined_predictions
from brainage.workflows.model_source import model_folder
from brainage.workflows.out_folder import refuse_foreign_folder
from brainage.workflows.predict.run import predict_records, refuse_input_as_output
from brainage.workflows.train.run_folder import write_text

_log = logging.getLogger(__name__)


def calibrate(
    source: Path,
    *,
    model: str,
    out: Path,
    how: Prediction,
    site: str | None = None,
    other_people: bool = False,
) -> CalibrateSummary:
    """Predict controls, fit on all of them, and report what it changes on people left out.

    Args:
        source: healthy people's scans with their ages, as for `predict`.
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them.
        out: folder of the new model; it must not be there. What names people, the table of
            predictions and the report, goes into a folder beside it.
        how: the scans are predicted; its answer is the model's own.
        site: where the controls were scanned, for the model's notes; None takes the table's sites.
        other_people: subjects with the name of a training subject are other people.

    Raises:
        BrainageError: if source, model or folder cannot be used, or there are too few people. A bad
            scan costs its row only.
    """
    beside = report_folder(out)
    _refuse_existing(out)
    refuse_foreign_folder(beside, "results")
    with model_folder(model) as folder:
        gathered, seed = _gather(
            source, load_bundle(folder), beside / PREDICTIONS, how,
            model=model, site=site, other_people=other_people,
        )  # fmt: skip
        return _finish(gathered, out, seed)


def _gather(
    source: Path,
    bundle: ModelBundle,
    table: Path,
    how: Prediction,
    *,
    model: str,
    site: str | None,
    other_people: bool,
) -> tuple["_Gathered", int]:
    """Check the controls, predict them and choose one scan of each; with the seed of that."""
    records = find_scans(source, how.root, require_ages=True, subject_from=how.subject_from).records
    refuse_input_as_output(table, [source, *(record.scan for record in records)])
    refuse_few_people(records)
    scans = identities([(record.scan, record.subject) for record in records])
    warnings = refuse_training_scans(model, bundle.calibration, scans, other_people=other_people)
    refuse_repeats(scans)
    _refuse_other_ages(bundle, model)
    predict_records(
        records, bundle, out=table, resume=how.resume, jobs=how.jobs, cache_folder=how.cache_folder
    )
    predicted = joined_predictions(
        records, table, model=bundle.model_hash, training_mean_age_years=None
    )
    seed = derive_seed("calibrate", bundle.model_hash)
    gathered = _Gathered(
        title=model,
        site=named_site(site, records),
        bundle=bundle,
        records=records,
        scans=scans,
        controls=choose_controls(predicted, seed),
        failed=len(predicted.failed),
        warnings=tuple(warnings),
    )
    return gathered, seed


def report_folder(out: Path) -> Path:
    """Where the table and the report go: beside the model, which is given away without them."""
    return out.with_name(f"{out.name}-report")


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise RunFolderError(f"{out}: is there already; give --out a folder that is not")


def _refuse_other_ages(bundle: ModelBundle, model: str) -> None:
    """What this installation computes otherwise must not be taken for the scanner's doing."""
    replayed = replay_golden(bundle)
    if not replayed.agrees:
        raise BundleError(
            f"{model}: its golden scan has {replayed.obtained_years:.2f} years here, expected "
            f"{replayed.expected_years:.2f}; 'brainage doctor --model {model}' tells more"
        )


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    """What is known once the controls are predicted."""

    title: str
    site: str
    bundle: ModelBundle
    records: Sequence[ScanRecord]
    scans: Sequence[ScanIdentity]
    controls: Controls
    failed: int
    warnings: tuple[str, ...]


def _finish(gathered: _Gathered, out: Path, seed: int) -> CalibrateSummary:
    """Fit, measure, and write the model and what is beside it."""
    bundle, controls = gathered.bundle, gathered.controls
    coverage = bundle.config.inference.coverage
    honest = fit_honest_numbers(
        controls.age_years, controls.predicted_age, coverage=coverage, seed=seed
    )
    assert honest.age_line is not None, "there are people enough"
    comparison = compare(controls, bundle, coverage, seed)
    told = (*gathered.warnings, *_warnings(controls, honest))
    for each in told:
        _log.warning("%s", each)
    report = CalibrationReport(
        title=gathered.title,
        site=gathered.site,
        created=datetime.now(UTC),
        controls=controls,
        comparison=comparison,
        age_line=honest.age_line,
        warnings=told,
    )
    _log.info("%s", report.verdict)
    calibration = calibration_of_controls(
        bundle, controls, honest,
        site=gathered.site, records=gathered.records, scans=gathered.scans,
    )  # fmt: skip
    card = card_of_controls(bundle, calibration, report.verdict, told)
    beside = report_folder(out)
    write_calibration_report(report, beside)
    saved = save_recalibrated(bundle, out, calibration, card)
    summary = CalibrateSummary(
        subjects=controls.n,
        failed=gathered.failed,
        age_line=honest.age_line,
        comparison=comparison,
        warnings=told,
        model_hash=saved.model_hash,
        base_model_hash=bundle.model_hash,
        out=out,
        report=beside / "report.html",
    )
    text = json.dumps(summary.to_json(), indent=2) + "\n"
    write_text(beside / "calibration_report.json", text)
    return summary


def _warnings(controls: Controls, honest: HonestNumbers) -> tuple[str, ...]:
    """What a laboratory has to know of its line."""
    ages, told = controls.age_years, []
    if not ages_allow_slope(ages):
        told.append(
            f"ONLY AN OFFSET was fitted: the ages of the controls have a standard deviation of "
            f"{ages.std():.1f} years, a slope needs {LEAST_AGE_SD_YEARS:.0f}; how the gap moves "
            "with age stays uncorrected."
        )
    if "corrected_age" in honest.absent:
        told.append(f"NO AGE WILL BE CORRECTED: {honest.absent['corrected_age']}.")
    return tuple(told)
