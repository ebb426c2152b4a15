"""``brainage track``: send runs to MLflow later, and give their models names there."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.environment import prepare_environment
from brainage.terminal import AsJson, Verbose, finish, reporting

track = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Runs in MLflow."
)

Store = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="MLflow store, e.g. http://server:5000; default: where the run was to be recorded, "
        "MLFLOW_TRACKING_URI, or mlflow.db here.",
    ),
]


@track.command()
def sync(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs or comparisons.")
    ],
    uri: Store = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Send to MLflow what it does not have of finished or interrupted runs.

    For a tracking server that was down, slow or died while they trained, or for another server.
    Times stay those of the run; parts and comparisons stay below their run; a second sync adds
    nothing. A run that is still going on is skipped.

    \b
    Example:
      brainage track sync runs/lfnn3d
      brainage track sync runs/* --uri http://server:5000
    """
    prepare_environment(patient=True)
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.track.sync import sync_runs

        return finish(sync_runs(runs, uri=uri), as_json, stream)


@track.command()
def register(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Registered model; made when there is none.")
    ] = "brainage",
    alias: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS",
            help="What this version is called from now on, e.g. champion or challenger; it is "
            "taken from any other version.",
        ),
    ] = None,
    uri: Store = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Make a run's model a version of a registered model, under an alias.

    What MLflow does not have of the run is sent first. The same model stays one version, however
    often it is registered.

    \b
    Example:
      brainage track register runs/lfnn3d --name brainage --alias champion
      brainage predict scans/ --model models:/brainage@champion --out predictions.csv
    """
    prepare_environment(patient=True)
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.track.register import register_run

        return finish(register_run(run, name=name, alias=alias, uri=uri), as_json, stream)
