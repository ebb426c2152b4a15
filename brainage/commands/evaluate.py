"""``brainage evaluate``: the error of a model on people it has not seen, with a report."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import (
    Jobs,
    OtherPeople,
    ResultFolder,
    Resume,
    Root,
    SharedCache,
    SubjectFrom,
)
from brainage.errors import ConfigError
from brainage.terminal import AsJson, Verbose, finish, option_words, reporting, resumable_by

Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="Model folder of a training run, or one of MLflow, as for predict."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="SOURCE", help="Scans with ages: a BIDS root, a manifest CSV, DICOM."),
]
Predictions = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Instead of --data: predictions that are there, with ages."),
]
Answer = Annotated[
    str, typer.Option(metavar="NAME", help="last (block), ensemble, or block2, as for predict.")
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Score another model on scans that were used for one; it is counted."
    ),
]


def evaluate(
    out: ResultFolder,
    model: Model = None,
    data: Data = None,
    predictions: Predictions = None,
    resume: Resume = False,
    jobs: Jobs = 1,
    cache: SharedCache = Path("cache"),
    root: Root = None,
    answer: Answer = "last",
    subject_from: SubjectFrom = "hash",
    other_people: OtherPeople = False,
    again: Again = False,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Measure the error of a model on people it has not seen.

    Scans of its training are refused, and scans on which another model was scored before. Metrics
    are not corrected for age bias; they come with intervals, overall and by site, sex and decade.

    \b
    Example:
      brainage evaluate --model runs/lfnn3d/model --data my_bids_folder --out evaluation
      brainage evaluate --predictions runs/lfnn3d/held_out_predictions.csv --out evaluation
    """
    flags = {"--other-people": other_people, "--again": again}
    words = ["brainage", "evaluate", *(name for name, used in flags.items() if used)]
    if predictions is not None:
        _refuse_with_predictions(
            data=data, root=root, resume=resume, jobs=jobs > 1,
            answer=answer != "last", subject_from=subject_from != "hash",
        )  # fmt: skip
        last = None
    else:
        _refuse_incomplete(data, model)
        words += option_words(out=out, model=model, data=data, cache=cache, root=root)
        words += option_words(**{"answer": answer, "subject-from": subject_from})
        last = "--resume"
    with reporting(as_json, verbose) as stream, resumable_by(words, last):
        from brainage.workflows.evaluate.checks import Consent
        from brainage.workflows.evaluate.run import Prediction, evaluate_scans, evaluate_table

        consent = Consent(other_people=other_people, again=again)
        if predictions is not None:
            summary = evaluate_table(predictions, out=out, model=model, consent=consent)
        else:
            assert data is not None
            assert model is not None
            how = Prediction(
                cache_folder=cache,
                root=root,
                resume=resume,
                jobs=jobs,
                answer=answer,
                subject_from=subject_from,
            )
            summary = evaluate_scans(data, model=model, out=out, how=how, consent=consent)
        return finish(summary, as_json, stream)


def _refuse_with_predictions(**options: object) -> None:
    """No option is silently ignored."""
    used = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if used:
        raise ConfigError(
            f"evaluate: {used[0]} does not go with --predictions, a table of finished predictions"
        )


def _refuse_incomplete(data: Path | None, model: str | None) -> None:
    if data is None:
        raise ConfigError("evaluate: give either --data with scans or --predictions with a table")
    if model is None:
        raise ConfigError("evaluate: --data needs --model, the folder of the model to evaluate")
