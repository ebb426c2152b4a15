"""``brainage evaluate``: how well predicted ages fit the ages of people the model has not seen.

What would spoil the numbers is looked for before there are any; see
``docs/adr/0010-evaluation.md``.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import RunFolderError
from brainage.scans.source import find_scans
from brainage.workflows.evaluate.checks import Checks, Consent, refuse_other_model
from brainage.workflows.evaluate.leakage import identities
from brainage.workflows.evaluate.results import EvaluateSummary, Scored, write_evaluation
from brainage.workflows.evaluate.table import (
    joined_predictions,
    read_predictions,
    with_training_mean,
)
from brainage.workflows.model_source import model_folder
from brainage.workflows.out_folder import refuse_foreign_folder
from brainage.workflows.predict.make_row import predictor_name
from brainage.workflows.predict.run import predict_records, refuse_input_as_output

PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How raw scans are predicted, as for ``brainage predict``."""

    cache_folder: Path
    """Where preprocessed volumes are found and kept."""

    root: Path | None = None
    """Folder that a manifest's scans start from."""

    resume: bool = False
    """Keep the rows an interrupted call has written."""

    jobs: int = 1
    """Preprocessing processes."""

    answer: str = "last"
    """Of the last block, of the ensemble of all, or of one block."""

    subject_from: str = "hash"
    """How DICOM subjects are named, see `find_scans`."""


def evaluate_scans(
    source: Path, *, model: str, out: Path, how: Prediction, consent: Consent
) -> EvaluateSummary:
    """Predict raw scans of known ages and measure the error.

    Args:
        source: as for `predict`, with the age of every scan.
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them.
        out: folder of the results; made when needed.
        how: the scans are predicted.
        consent: what may be let pass.

    Raises:
        BrainageError: if source, model or folder cannot be used, or a check fails. A bad scan
            costs its row only.
    """
    # Results of an evaluation have names that those of a training run have, too.
    refuse_foreign_folder(out, "results")
    bundle = _load(model)
    bundle.check_answer(how.answer)
    records = find_scans(source, how.root, require_ages=True, subject_from=how.subject_from).records
    table = out / PREDICTIONS
    refuse_input_as_output(table, [source, *(record.scan for record in records)])
    checks = Checks(consent, identities([(record.scan, record.subject) for record in records]))
    checks.not_in_training(model, bundle)
    checks.each_once()
    name, keys = predictor_name(bundle, how.answer), checks.keys(records)
    checks.first_model(name, keys)
    # Before the first prediction is on the disk, where its error can be seen.
    checks.note(name, keys)
    predict_records(
        records,
        bundle,
        out=table,
        resume=how.resume,
        jobs=how.jobs,
        answer=how.answer,
        cache_folder=how.cache_folder,
    )
    mean_years = bundle.calibration.get("training_mean_age_years")
    predicted = joined_predictions(records, table, model=name, training_mean_age_years=mean_years)
    scored = Scored(
        title=bundle.config.name,
        source=str(source),
        table=predicted,
        checks=checks,
        facts={
            "model": model,
            "model hash": name,
            "preprocessing hash": bundle.preprocessing_hash,
        },
    )
    return write_evaluation(scored, out)


def evaluate_table(
    predictions: Path, *, out: Path, model: str | None, consent: Consent
) -> EvaluateSummary:
    """Measure the error of predictions that are there, without predicting again.

    Args:
        predictions: CSV with ages, as `read_predictions` reads it.
        out: folder of the results; made when needed.
        model: the bundle that made them, for the comparison with its training.
        consent: what may be let pass.

    Raises:
        BrainageError: if table, model or folder cannot be used, or a check fails.
    """
    # Results of an evaluation have names that those of a training run have, too.
    refuse_foreign_folder(out, "results")
    table = read_predictions(predictions)
    places = [(predictions.parent / scan.scan, scan.subject) for scan in table.scans]
    checks = Checks(consent, identities(places))
    checks.each_once()
    checks.folds_apart(table.scans)
    title, facts = predictions.name, {"model": table.model}
    if model is None:
        checks.warnings.append(
            "The scans were not compared with those of the model's training: no model was given."
        )
    else:
        bundle = _load(model)
        refuse_other_model(predictions, table, model, bundle)
        title, facts = bundle.config.name, {"model": model, "model hash": table.model}
        checks.not_in_training(model, bundle)
        table = with_training_mean(table, bundle.calibration.get("training_mean_age_years"))
    checks.files_there()
    keys = checks.keys(table.scans)
    checks.first_model(table.model, keys)
    _copy(predictions, out / PREDICTIONS)
    checks.note(table.model, keys)
    scored = Scored(
        title=title,
        source=str(predictions),
        table=table,
        checks=checks,
        facts=facts,
    )
    return write_evaluation(scored, out)


def _load(model: str) -> ModelBundle:
    with model_folder(model) as folder:
        return load_bundle(folder)


def _copy(table: Path, place: Path) -> None:
    """The table beside its report, unless it lies there."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not (place.exists() and place.samefile(table)):
            shutil.copyfile(table, place)
    except OSError as error:
        raise RunFolderError(f"{place}: cannot write: {error.strerror}") from error
