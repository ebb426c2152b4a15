"""``brainage predict``: ages of raw scans, by a model of a folder or of MLflow."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import Jobs, Resume, Root, SubjectFrom
from brainage.terminal import AsJson, Verbose, finish, option_words, reporting, resumable_by

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
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --resume: do failed scans again, too.")
]
Device = Annotated[
    str,
    typer.Option(metavar="NAME", help="For the networks: auto (an accelerator if any), cpu, cuda."),
]
BatchSize = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        help="Volumes an accelerator is given together; a CPU takes them one by one.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Find preprocessed volumes here and keep them; without it none is kept."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a table that is there already.")
]


def predict(
    source: Source,
    out: Table,
    model: Model = None,
    resume: Resume = False,
    retry_failed: RetryFailed = False,
    jobs: Jobs = 1,
    answer: Answer = "last",
    device: Device = "auto",
    batch_size: BatchSize = 1,
    cache: Cache = None,
    root: Root = None,
    overwrite: Overwrite = False,
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
    command = [
        "brainage",
        "predict",
        str(source),
        *option_words(model=model, out=out, cache=cache, root=root),
    ]
    command += _changed(
        jobs=(jobs, 1),
        answer=(answer, "last"),
        device=(device, "auto"),
        batch_size=(batch_size, 1),
        subject_from=(subject_from, "hash"),
    )
    with reporting(as_json, verbose) as stream, resumable_by(command, "--resume"):
        from brainage.workflows.predict.run import predict as run_prediction

        summary = run_prediction(
            source,
            model=model,
            out=out,
            resume=resume,
            retry_failed=retry_failed,
            jobs=jobs,
            answer=answer,
            device=device,
            batch_size=batch_size,
            cache_folder=cache,
            root=root,
            overwrite=overwrite,
            subject_from=subject_from,
        )
        return finish(summary, as_json, stream)


def _changed(**options: tuple[object, object]) -> list[str]:
    """Options, by name with their usual value, that have another one."""
    words: list[str] = []
    for name, (value, usual) in options.items():
        words += [] if value == usual else [f"--{name.replace('_', '-')}", str(value)]
    return words
