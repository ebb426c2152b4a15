"""``brainage compare``: training rules on the same scans, parts and seeds."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.terminal import (
    AsJson,
    Verbose,
    finish,
    given_or_saved,
    reporting,
    resumable_by,
    tell,
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration: tried as given, then under configs/, then as installed. "
        "With --resume, the one saved with the comparison unless given.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key, e.g. run.trainer.epochs=3 or arms.bp=null; repeatable.",
    ),
]
Runs = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder in which the comparison gets its own folder.")
]
Resume = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Go on with the interrupted comparison in this folder."),
]


def compare(
    config: Config = None,
    overrides: Changes = None,
    runs: Runs = Path("runs"),
    resume: Resume = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Compare training rules on the same scans, folds and seeds.

    Every arm is trained with every seed on every fold; errors are compared scan by scan. Step time
    and memory are measured side by side. A finished fit is kept, so an interrupted comparison goes
    on where it stopped.

    \b
    Example:
      brainage compare --config compare_bp_lfnn3d.yaml
      brainage compare --config compare_bp_lfnn3d.yaml --set seeds=[0] --set run.trainer.epochs=3
      brainage compare --resume runs/compare_bp_lfnn3d
    """
    source = given_or_saved(config, resume)
    if source is None:
        raise typer.BadParameter("Missing option '--config' (or '--resume' to go on).")
    with reporting(as_json, verbose) as stream:
        command = ["brainage", "compare", "--resume"]
        with resumable_by(command, str(resume) if resume else None):
            from brainage.config.compare import load_compare_config

            settings = load_compare_config(source, overrides or ())
            from brainage.workflows.compare.run import compare as run_comparison

            summary = run_comparison(settings, runs_folder=runs, resume=resume, report=tell)
            return finish(summary, as_json, stream)
