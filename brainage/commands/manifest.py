"""``brainage manifest``: cohort tables, written and checked."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import SubjectFrom
from brainage.terminal import AsJson, Verbose, finish, reporting

manifest = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Cohort tables."
)

Root = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder that scans start from; default: the manifest's."),
]


@manifest.command()
def build(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="As for predict.")],
    out: Annotated[Path, typer.Option(metavar="CSV", help="Manifest to write.")],
    root: Root = None,
    subject_from: SubjectFrom = "hash",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Write a manifest of every scan found, with its hash and what is known of the person.

    \b
    Example:
      brainage manifest build my_bids_folder --out cohort.csv
    """
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.manifest import build_manifest

        summary = build_manifest(source, out=out, root=root, subject_from=subject_from)
        return finish(summary, as_json, stream)


@manifest.command()
def check(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Manifest to check.")],
    root: Root = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Check a manifest row by row: cells, ages, repeats; that scans are there, readable, unaltered.

    \b
    Example:
      brainage manifest check cohort.csv
    """
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.manifest import check_manifest

        return finish(check_manifest(table, root=root), as_json, stream)
