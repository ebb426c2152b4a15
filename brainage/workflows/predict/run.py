"""``brainage predict``: raw scans to ages, with the preprocessing stored in the model."""

import logging
import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import ConfigError, RunFolderError, ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan_bytes
from brainage.scans.source import find_scans
from brainage.tracking.progress import StageProgress
from brainage.workflows.model_source import model_folder
from brainage.workflows.predict.flags import tell_flags
from brainage.workflows.predict.make_row import predictor_name
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.row import COLUMNS
from brainage.workflows.predict.stream import predict_each
from brainage.workflows.predict.table import PredictionTable, TableContent
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
    retry_failed: bool = False,
    batch_size: int = 1,
    device: str = "auto",
    cache_folder: Path | None = None,
    root: Path | None = None,
    overwrite: bool = False,
) -> PredictSummary:
    """Predict the age of every scan in ``source``.

    Args:
        source: a NIfTI file, a folder, a BIDS root or a manifest.
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them; None takes the
            demonstration model, and a warning says what it is.
        out: the table to write.
        resume: keep the rows an interrupted call has written.
        jobs: as `PredictOptions` has it.
        answer: as `PredictOptions` has it.
        subject_from: how DICOM subjects are named, see `find_scans`.
        retry_failed: of the rows kept, do the failed ones again.
        batch_size: as `PredictOptions` has it.
        device: as `PredictOptions` has it.
        cache_folder: as `PredictOptions` has it.
        root: folder that a manifest's scans start from.
        overwrite: replace a table that is there.

    Raises:
        BrainageError: if source, model or table cannot be used. A bad scan costs its row only.
    """
    if retry_failed and not resume:
        raise ConfigError("--retry-failed: goes with --resume, whose rows it looks at")
    options = PredictOptions(
        answer=answer, jobs=jobs, batch_size=batch_size, device=device, cache_folder=cache_folder
    )
    options.place()
    with model_folder(None if model is None else str(model)) as folder:
        bundle = load_bundle(folder)
        if model is None:
            _log.warning("%s", demonstration_limits(bundle))
        bundle.check_answer(answer)
        _tell_early_answer(bundle, answer)
        records = find_scans(source, root, subject_from=subject_from).records
        refuse_input_as_output(out, [source, *(record.scan for record in records)])
        if not (resume or overwrite):
            _refuse_existing(out)
        return _predict_into(
            out, records, bundle, options, resume=resume, retry_failed=retry_failed
        )


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
    """The same for scans already found and a model already loaded, on the model's device.

    Preprocessed volumes are kept in ``cache_folder``, and found there; None keeps none.
    """
    options = PredictOptions(
        answer=answer, jobs=jobs, cache_folder=cache_folder, device=str(bundle.device)
    )
    return _predict_into(out, records, bundle, options, resume=resume, retry_failed=False)


def _predict_into(
    out: Path,
    records: Sequence[ScanRecord],
    bundle: ModelBundle,
    options: PredictOptions,
    *,
    resume: bool,
    retry_failed: bool,
) -> PredictSummary:
    """Fill a table."""
    started = time.perf_counter()
    if options.cache_folder is not None:  # refused before the table is begun
        PreprocessCache(options.cache_folder, bundle.config.preprocess)
    content = TableContent.of(records, predictor_name(bundle, options.answer))
    statuses = []
    with PredictionTable(
        out,
        content,
        resume=resume,
        retry_failed=retry_failed,
        is_same=lambda index, digest: _has_bytes(records[index].scan, digest),
    ) as table:
        kept = [dict(zip(COLUMNS, cells, strict=True)) for cells in table.kept.values()]
        flags = [tuple(row["qc_flags"].split()) for row in kept]
        todo = [index for index in range(len(records)) if index not in table.kept]
        wanted = [records[index] for index in todo]
        with (
            StageProgress("predicting", len(records), "scan", done=len(kept)) as progress,
            closing(predict_each(wanted, bundle, options)) as predicted,
        ):
            for position, row in predicted:
                table.add(todo[position], row)
                statuses.append(row.status)
                flags.append(row.qc_flags)
                progress.advance()
    tell_flags(flags)
    seconds = time.perf_counter() - started
    return PredictSummary(
        rows=len(records),
        ok=statuses.count("ok"),
        failed=statuses.count("failed"),
        skipped=len(kept),
        failed_before=sum(row["status"] == "failed" for row in kept),
        flagged=sum(map(bool, flags)),
        seconds_per_scan=round(seconds / len(todo), 3) if todo else None,
        out=out,
    )


def _refuse_existing(out: Path) -> None:
    """A table may be the work of days."""
    if out.is_file():
        raise RunFolderError(
            f"{out}: is there already; add --resume to go on with it, --overwrite to replace it, "
            "or give --out another name"
        )


def _tell_early_answer(bundle: ModelBundle, answer: str) -> None:
    if bundle.training_space is not None and not bundle.reaches_last_block(answer):
        _log.warning(
            "the answer of %s is asked: whether scans are unlike the training's is not known, "
            "since the last block is not run", answer,
        )  # fmt: skip


def _has_bytes(scan: Path, digest: str) -> bool:
    """Whether a scan's bytes are those that were predicted."""
    try:
        same = read_scan_bytes(scan)[1].startswith(digest)
    except ScanError:
        same = False
    if not same:
        _log.warning("%s: is another scan than the one in the table; it is predicted again", scan)
    return same


def refuse_input_as_output(out: Path, inputs: Sequence[Path]) -> None:
    """The table replaces what lies in its place; that must not be somebody's data."""
    if os.path.realpath(out) in {os.path.realpath(path) for path in inputs}:
        raise RunFolderError(
            f"{out}: is one of the scans to predict or their list; give --out another name"
        )
