"""``brainage predict``: ages of raw scans, by a model of a folder or of MLflow."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import SubjectFrom
from brainage.terminal import AsJson, Verbose, finish, reporting, resumable_by

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="NIfTI, MGH or DICOM, a folder or archive of them, a BIDS root, a manifest CSV.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model folder of a training run, or one of MLflow: models:/name@alias, "
        "models:/name/version, runs:/id/name. Without it the demonstration model is asked.",
    ),
]
Table = Annotated[
    Path, typer.Option(metavar="CSV", help="Table with one row for each scan, in input order.")
]
Answer = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="last (block), ensemble (of all blocks), or block2: stop behind block 2.",
    ),
]


def predict(
    source: Source,
    out: Table,
    model: Model = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the rows that are there; do the other scans.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Scans preprocessed at the same time.")
    ] = 1,
    answer: Answer = "last",
    subject_from: SubjectFrom = "hash",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Predict ages from raw scans.

    The model brings its own preprocessing. A scan that cannot be used gets a row that says why;
    the others go on.

    \b
    Example:
      brainage predict scans/ --out predictions.csv
      brainage predict scans/ --model runs/lfnn3d/model --out predictions.csv --jobs 2
      brainage predict scans/ --model models:/brainage@champion --out predictions.csv
    """
    named = [] if model is None else ["--model", model]
    command = ["brainage", "predict", str(source), *named, "--out", str(out)]
    command += [] if answer == "last" else ["--answer", answer]
    command += [] if subject_from == "hash" else ["--subject-from", subject_from]
    with reporting(as_json, verbose) as stream, resumable_by(command, "--resume"):
        from brainage.workflows.predict.run import predict as run_prediction

        summary = run_prediction(
            source,
            model=model,
            out=out,
            resume=resume,
            jobs=jobs,
            answer=answer,
            subject_from=subject_from,
        )
        return finish(summary, as_json, stream)
