"""``brainage doctor``: what this installation can do, and whether a model computes as it did."""

from typing import Annotated

import typer

from brainage.terminal import AsJson, Verbose, finish, reporting

Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model folder, or one of MLflow: models:/name@alias, models:/name/version, "
        "runs:/id/name. Without it the demonstration model's golden scan is replayed.",
    ),
]


def doctor(model: Model = None, as_json: AsJson = False, verbose: Verbose = 0) -> int:
    """Look at this installation and replay a model's golden scan.

    Each line is ok, missing (an option that is not installed, with the command that installs it)
    or a problem, with what to do. Nothing is changed, and nothing is asked of the network but an
    MLflow server that is configured. Exit code 0: no problem. 1: a problem, e.g. the golden scan
    gets another age here. 2: the model cannot be loaded.

    \b
    Example:
      brainage doctor
      brainage doctor --model runs/lfnn3d/model
      brainage doctor --model models:/brainage@champion --json
    """
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.doctor.run import doctor as run_doctor

        return finish(run_doctor(model), as_json, stream)
