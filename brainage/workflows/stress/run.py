"""``brainage stress``: raw scans, changed in known ways, through a model's whole chain."""

import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.load import load_bundle
from brainage.errors import RunFolderError
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.stress.catalogue import chosen_perturbations
from brainage.stress.config import StressConfig
from brainage.stress.measure import Measured, StressTest
from brainage.stress.perturbation import Perturbation
from brainage.stress.results import StressResults
from brainage.tracking.progress import StageProgress
from brainage.workflows.model_source import model_folder
from brainage.workflows.out_folder import refuse_foreign_folder
from brainage.workflows.stress.jobs import RowMaker
from brainage.workflows.stress.output import StressOutput, StressSummary

_log = logging.getLogger(__name__)


def stress(
    source: Path,
    *,
    model: str | None,
    out: Path,
    config: StressConfig,
    only: Sequence[str] = (),
    jobs: int = 1,
    answer: str = "last",
    subject_from: str = "hash",
    strict: bool = False,
) -> StressSummary:
    """Change every scan of ``source`` in every way and write what happens to its age.

    Args:
        source: a NIfTI file, a folder, a BIDS root or a manifest; a few scans are enough.
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them; None takes the
            demonstration model, and a warning says what it is.
        out: folder of the results; what an earlier test wrote there is replaced.
        config: budgets and seed.
        only: names or families of perturbations; none takes all.
        jobs: changes at the same time, in processes.
        answer: of the last block, of the ensemble, or of one block, as for ``predict``.
        subject_from: how DICOM subjects are named, see `find_scans`.
        strict: whether a change over budget is a failure.

    Raises:
        BrainageError: if source, model, settings or folder cannot be used.
    """
    perturbations = chosen_perturbations(config.seed, only)
    with model_folder(model) as folder:
        bundle = load_bundle(folder)
        if model is None:
            _log.warning("%s", demonstration_limits(bundle))
        bundle.check_answer(answer)
        records = find_scans(source, subject_from=subject_from).records
        _refuse_folder(out, [source, *(record.scan for record in records)])
        test = StressTest(bundle, config, answer)
        name = "the demonstration model" if model is None else Path(model).name
        output = StressOutput(out, datetime.now().astimezone())
        measured: list[Measured] = []
        results = _results(test, name, measured)
        total = len(records) * (1 + len(perturbations))
        with (
            RowMaker(test, folder, jobs) as maker,
            StageProgress("stressing", total, "row") as progress,
        ):
            for record in records:
                of_scan = _one_scan(record, test, maker, perturbations, progress)
                measured += of_scan
                results = _results(test, name, measured)
                # Written after every scan, so that an interruption keeps what is finished.
                output.write(results, of_scan)
        return StressSummary(results=results, strict=strict, out=out)


def _one_scan(
    record: ScanRecord,
    test: StressTest,
    maker: RowMaker,
    perturbations: Sequence[Perturbation],
    progress: StageProgress,
) -> list[Measured]:
    """The rows of one scan, the untouched one first; the only one when it has no age."""
    untouched, reference = test.reference(record.scan, record.subject)
    progress.advance()
    if reference is None:
        _log.warning("%s: %s: %s", record.scan, untouched.row.stage, untouched.row.reason)
        progress.advance(len(perturbations))
        return [untouched]
    measured = [untouched]
    for each in maker.rows(reference, perturbations):
        measured.append(each)
        row = each.row
        if row.is_exceeded:
            _log.warning(
                "%s: %s %s: %+.2f years, %s",
                row.subject,
                row.perturbation,
                row.level,
                row.delta_years,
                "no flag" if row.budget_years is None else f"budget {row.budget_years:g}",
            )
        progress.advance()
    return measured


def _results(test: StressTest, name: str, measured: Sequence[Measured]) -> StressResults:
    bundle = test.bundle
    held_out = bundle.calibration.get("held_out") or {}
    return StressResults(
        model=name,
        model_hash=bundle.model_hash,
        preprocessing_hash=bundle.preprocessing_hash,
        answer=test.answer,
        seed=test.config.seed,
        held_out_mae_years=held_out.get("mae_years"),
        rows=tuple(each.row for each in measured),
    )


def _refuse_folder(out: Path, inputs: Sequence[Path]) -> None:
    """Results must not land among somebody's data."""
    if os.path.realpath(out) in {os.path.realpath(path) for path in inputs}:
        raise RunFolderError(f"{out}: is what is tested; give --out another name")
    refuse_foreign_folder(out, "results", with_data_sets=True)
