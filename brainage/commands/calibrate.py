"""``brainage calibrate``: fit a model's age line and intervals on local controls."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import Jobs, OtherPeople, Resume, Root, SharedCache, SubjectFrom
from brainage.terminal import AsJson, Verbose, finish, option_words, reporting, resumable_by

Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL", help="Model folder of a training run, or one of MLflow, as for predict."
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        metavar="SOURCE",
        help="Scans of healthy people with ages: a BIDS root, a manifest CSV, DICOM.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="M2", help="Folder of the new model; the report goes into M2-report beside it."
    ),
]
Site = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Where the controls were scanned, for the model's notes."),
]


def calibrate(
    model: Model,
    data: Data,
    out: Out,
    site: Site = None,
    resume: Resume = False,
    jobs: Jobs = 1,
    cache: SharedCache = Path("cache"),
    root: Root = None,
    subject_from: SubjectFrom = "hash",
    other_people: OtherPeople = False,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Fit a model's age line and intervals on healthy people of your own scanner.

    At least 20 people whom the model has not seen. The networks and the raw prediction stay as
    they are. A report tells the error before and after, on people left out; evaluating refuses
    the controls afterwards.

    \b
    Example:
      brainage calibrate --model runs/lfnn3d/model --data controls.csv --out mymodel --site Oslo
      brainage predict scans/ --model mymodel --out predictions.csv
    """
    words = ["brainage", "calibrate", *(["--other-people"] if other_people else [])]
    words += option_words(model=model, data=data, out=out, site=site, cache=cache, root=root)
    words += [] if subject_from == "hash" else ["--subject-from", subject_from]
    with reporting(as_json, verbose) as stream, resumable_by(words, "--resume"):
        from brainage.workflows.calibrate.run import calibrate as run_calibration
        from brainage.workflows.evaluate.run import Prediction

        how = Prediction(
            cache_folder=cache, root=root, resume=resume, jobs=jobs, subject_from=subject_from
        )
        summary = run_calibration(
            data, model=model, out=out, how=how, site=site, other_people=other_people
        )
        return finish(summary, as_json, stream)
