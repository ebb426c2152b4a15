"""``brainage predict``: raw scans to ages, with the preprocessing stored in the model."""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import RunFolderError, ScanError
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.pipeline import Preprocessor
from brainage.preprocess.worker import PreprocessOutcome
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan
from brainage.scans.source import find_scans
from brainage.tracking.progress import StageProgress
from brainage.workflows.model_source import model_folder
from brainage.workflows.predict.table import (
    COLUMNS,
    PredictionRow,
    PredictionTable,
    finished_rows,
)
from brainage.workflows.summary import PredictSummary

_log = logging.getLogger(__name__)


def predict(
    source: Path,
    *,
    model: Path | str | None,
    out: Path,
    resume: bool,
    jobs: int,
    answer: str = "last",
    subject_from: str = "hash",
) -> PredictSummary:
    """Predict the age of every scan in ``source``.

    Args:
        source: a NIfTI file, a folder, a BIDS root or a manifest.
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them; None takes the
            demonstration model, and a warning says what it is.
        out: the table to write.
        resume: keep the rows an interrupted call has written.
        jobs: preprocessing processes.
        answer: of the last block, of the ensemble of all, or of one block, as the bundle has it.
        subject_from: how DICOM subjects are named, see `find_scans`.

    Raises:
        BrainageError: if source, model or table cannot be used. A bad scan costs its row only.
    """
    with model_folder(None if model is None else str(model)) as folder:
        bundle = load_bundle(folder)
        if model is None:
            _log.warning("%s", demonstration_limits(bundle))
        bundle.check_answer(answer)
        records = find_scans(source, subject_from=subject_from).records
        refuse_input_as_output(out, [source, *(record.scan for record in records)])
        return predict_records(records, bundle, out=out, resume=resume, jobs=jobs, answer=answer)


def predict_records(
    records: Sequence[ScanRecord],
    bundle: ModelBundle,
    *,
    out: Path,
    resume: bool,
    jobs: int,
    answer: str = "last",
    cache_folder: Path | None = None,
) -> PredictSummary:
    """The same for scans already found and a model already loaded.

    Preprocessed volumes are kept in ``cache_folder``, and found there; None keeps none.
    """
    started = time.perf_counter()
    scans = [str(record.scan) for record in records]
    kept = finished_rows(out, scans, predictor_name(bundle, answer)) if resume else []
    todo = records[len(kept) :]
    statuses = []
    with (
        PredictionTable(out, len(records), kept) as table,
        StageProgress("predicting", len(records), "scan", done=len(kept)) as progress,
        tempfile.TemporaryDirectory(prefix="brainage-") as folder,
    ):
        position = {record.scan: index for index, record in enumerate(todo)}
        volumes = Path(folder) if cache_folder is None else cache_folder
        cache = PreprocessCache(volumes, bundle.config.preprocess)

        def finish(outcome: PreprocessOutcome) -> None:
            index = position[outcome.scan]
            row = _row(todo[index], outcome, bundle, cache, answer)
            statuses.append(row.status)
            table.add(len(kept) + index, row)
            progress.advance()

        preprocess_scans(
            [record.scan for record in todo],
            bundle.config.preprocess,
            volumes,
            jobs=jobs,
            on_outcome=finish,
        )
    seconds = time.perf_counter() - started
    return PredictSummary(
        rows=len(records),
        ok=statuses.count("ok"),
        failed=statuses.count("failed"),
        skipped=len(kept),
        failed_before=sum(row[COLUMNS.index("status")] == "failed" for row in kept),
        seconds_per_scan=round(seconds / len(todo), 3) if todo else None,
        out=out,
    )


def predictor_name(bundle: ModelBundle, answer: str) -> str:
    """What names the source of a prediction: the model, and the answer unless it is the last's."""
    return bundle.model_hash if answer == "last" else f"{bundle.model_hash}+{answer}"


def _row(
    record: ScanRecord,
    outcome: PreprocessOutcome,
    bundle: ModelBundle,
    cache: PreprocessCache,
    answer: str,
) -> PredictionRow:
    """The row of one scan, predicted from the volume its own outcome names."""
    begun = time.perf_counter()
    stage, reason, predicted = outcome.stage, outcome.reason, None
    if outcome.status == "ok":
        preprocessed = cache.load(outcome.key)
        if preprocessed is None:
            stage, reason = "network", "the preprocessed volume could not be read back"
        else:
            predicted = bundle.predict(preprocessed.volume_XYZ, answer).age_years
    age = record.age_years
    known = predicted is not None and age is not None
    return PredictionRow(
        scan=str(record.scan),
        subject=record.subject,
        session=record.session,
        status="failed" if predicted is None else "ok",
        stage=stage,
        reason=reason,
        age_years=age,
        predicted_age=predicted,
        brain_age_gap=predicted - age if known else None,  # type: ignore[operator]
        age_in_training_range=None if age is None else bundle.in_training_range(age),
        model_hash=predictor_name(bundle, answer),
        preprocessing_hash=bundle.preprocessing_hash,
        seconds=outcome.seconds + time.perf_counter() - begun,
    )


def refuse_input_as_output(out: Path, inputs: Sequence[Path]) -> None:
    """The table replaces what lies in its place; that must not be somebody's data."""
    if os.path.realpath(out) in {os.path.realpath(path) for path in inputs}:
        raise RunFolderError(
            f"{out}: is one of the scans to predict or their list; give --out another name"
        )


def load_predictor(
    folder: Path,
) -> Callable[[Sequence[Path]], list[tuple[float | None, str]]]:
    """A function from paths of raw scans to ages in years, for MLflow's model.

    A scan that cannot be used has no age, and the reason beside it.
    """
    bundle = load_bundle(folder)
    preprocess = Preprocessor(bundle.config.preprocess)

    def answer(scan: Path) -> tuple[float | None, str]:
        try:
            volume_XYZ = preprocess(read_scan(scan)).volume_XYZ
        except ScanError as error:
            return None, f"{error.stage}: {error.reason}"
        return bundle.predict(volume_XYZ).age_years, ""

    return lambda scans: [answer(scan) for scan in scans]
