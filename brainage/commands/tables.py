"""``brainage tables``: the paper's tables and figures."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.errors import ConfigError
from brainage.terminal import AsJson, Verbose, finish, reporting, resumable_by

tables = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The paper's tables and figures, measured beside published.",
)
DEFAULT_OUT = Path("runs/tables")


@tables.command()
def run(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="s1, fig_s7, ..., or all.")],
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="As published, where the default is smaller so that two cores manage."
        ),
    ] = False,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", metavar="PART", help="Only this part of the table; repeatable."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PART.KEY=VALUE",
            help="Change one key of a part, e.g. mnist.recipe.trainer.epochs=3; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of all tables; what is there is not redone.")
    ] = DEFAULT_OUT,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Fits at the same time.")] = 1,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Train and measure what a table still lacks, and show it beside what was published.

    \b
    Example:
      brainage tables run s1 --jobs 2
      brainage tables run s2 --part mnist_275k --set mnist_275k.recipe.trainer.epochs=5
    """
    command = ["brainage", "tables", "run", *names, "--out", str(out)]
    command += [*(["--full"] if full else []), *(f"--part={part}" for part in parts or ())]
    for override in overrides or ():
        command += ["--set", override]
    with reporting(as_json, verbose) as stream, resumable_by(command, f"--jobs={jobs}"):
        from brainage.config.tables import load_tables
        from brainage.workflows.tables.run import run_tables

        if full and overrides:
            raise ConfigError(f"--set {overrides[0]}: changes nothing with --full; leave one out")
        chosen = load_tables(names, overrides or ())
        result = run_tables(chosen, out=out, full=full, jobs=jobs, only=parts or ())
        return finish(result, as_json, stream)


@tables.command()
def report(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; all when left out.")
    ] = None,
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="What tables run wrote, or kept results.")
    ] = DEFAULT_OUT,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The page; figures go to a folder of its name.")
    ] = Path("tables.md"),
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Write the tables as one page: measured beside published, with scale and device.

    \b
    Example:
      brainage tables report
      brainage tables report s1 s2 --results docs/results/tables --out s1_s2.md
    """
    with reporting(as_json, verbose) as stream:
        from brainage.config.tables import load_tables
        from brainage.workflows.tables.report import report_tables

        result = report_tables(load_tables(names or ["all"]), results=results, out=out)
        return finish(result, as_json, stream)
