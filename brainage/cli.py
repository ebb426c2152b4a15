"""The command line: arguments in, one workflow called, its summary out. No logic.

Exit codes: 0 all done; 1 done, but at least one scan or run failed (each has its row); 2 the user's
input is wrong (one line on stderr); 130 interrupted. A traceback is always a bug of ours. Workflows
are imported by the command that runs them, so that ``--help`` answers at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from brainage import __version__
from brainage.commands.benchmark import benchmark
from brainage.commands.calibrate import calibrate
from brainage.commands.compare import compare
from brainage.commands.doctor import doctor
from brainage.commands.evaluate import evaluate
from brainage.commands.explain import explain
from brainage.commands.export import export
from brainage.commands.manifest import manifest
from brainage.commands.options import Devices, Scans, StepChanges, StepsFile, SubjectFrom
from brainage.commands.plan import plan
from brainage.commands.predict import predict
from brainage.commands.stress import stress
from brainage.commands.tables import tables
from brainage.commands.track import track
from brainage.errors import BrainageError
from brainage.terminal import (
    AsJson,
    Verbose,
    devices_words,
    given_or_saved,
    is_rank,
    option_words,
)
from brainage.terminal import finish as _finish
from brainage.terminal import reporting as _reporting
from brainage.terminal import resumable_by as _resumable_by
from brainage.terminal import tell as _tell
from brainage.workflows.exit_code import rank_exit_code

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

# The base of all errors in how a command was typed; typer exports only this descendant of it.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"brainage {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def brainage(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback acts on it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Brain age from structural MRI with leader-follower neural networks.

    \b
    Example:
      brainage train --config lfnn3d.yaml
      brainage predict scans/ --model runs/lfnn3d/model --out predictions.csv
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def train(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Configuration: tried as given, then under configs/, then as installed. "
            "With --resume, the one saved with the run unless given.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key, e.g. trainer.epochs=3; repeatable."
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder in which the run gets its own folder.")
    ] = Path("runs"),
    resume: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Go on with the interrupted run in this folder."),
    ] = None,
    devices: Devices = 1,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Train and evaluate a model.

    Scans are preprocessed unless that was done before. The run's folder holds the model, a report
    and the held-out error beside that of predicting the mean age.

    \b
    Example:
      brainage train --config lfnn3d.yaml --set trainer.epochs=3
      brainage train --resume runs/lfnn3d
      brainage train --config lfnn3d.yaml --devices 2
    """
    source = given_or_saved(config, resume)
    if source is None:
        raise _UsageError("Missing option '--config' (or '--resume' to go on with a run).")
    from brainage.config.load import load_config

    settings = load_config(source, overrides or ())
    if devices > 1 and not is_rank():
        from brainage.workflows.train.launch import launch_training

        words = option_words(config=config, runs=runs, resume=resume, set=overrides)
        words += [*(["--json"] if as_json else []), *["-v"] * verbose]
        return launch_training(settings, ["train", *words], devices=devices, runs_folder=runs)
    with _reporting(as_json, verbose) as out:
        command = ["brainage", "train", *devices_words(), "--resume"]
        with _resumable_by(command, str(resume) if resume else None):
            from brainage.workflows.train.run import train_as_rank as run_training

            return _finish(run_training(settings, runs_folder=runs, resume=resume), as_json, out)


@app.command()
def preprocess(
    source: Scans,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the derivatives; made when needed.")
    ],
    config: StepsFile = Path("preprocess/mni2mm.yaml"),
    overrides: StepChanges = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Scans at the same time.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Do the scans on the workers of this Dask scheduler (or scheduler file) instead.",
        ),
    ] = None,
    cache: Annotated[
        Path, typer.Option(metavar="DIR", help="Finished work, shared with training.")
    ] = Path("cache"),
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder that a manifest's scans start from; else the manifest's."
        ),
    ] = None,
    subject_from: SubjectFrom = "hash",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Preprocess raw scans into BIDS derivatives.

    Each scan becomes a volume in template space with its mask, transform and a JSON file of
    settings, hashes and quality; qc.csv and qc.html show all of them. What was done before with the
    same bytes and settings is not done again.

    \b
    Example:
      brainage preprocess scans/ --out derivatives/brainage --jobs 2
      brainage preprocess bids/ --out bids/derivatives/brainage --config preprocess/mni4mm.yaml
    """
    command = ["brainage", "preprocess", str(source), "--out", str(out), "--config", str(config)]
    for override in overrides or ():
        command += ["--set", override]
    command += [] if subject_from == "hash" else ["--subject-from", subject_from]
    with _reporting(as_json, verbose) as stream, _resumable_by(command, f"--cache={cache}"):
        from brainage.config.preprocess import load_preprocess_config

        settings = load_preprocess_config(config, overrides or ())
        from brainage.workflows.preprocess.run import preprocess as run_preprocessing

        summary = run_preprocessing(
            source,
            out=out,
            config=settings,
            cache_folder=cache,
            root=root,
            jobs=jobs,
            dask=dask,
            subject_from=subject_from,
        )
        return _finish(summary, as_json, stream)


app.command()(predict)
app.command()(compare)
app.command()(evaluate)
app.command()(calibrate)
app.command()(explain)
app.command()(export)
app.command()(doctor)
app.command()(stress)
app.command()(plan)
app.add_typer(benchmark, name="benchmark")
app.add_typer(manifest, name="manifest")
app.add_typer(tables, name="tables")
app.add_typer(track, name="track")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; none takes the process's own.

    Returns:
        The exit code.
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="brainage", standalone_mode=False)
    except BrainageError as error:
        _tell(f"error: {error}")
        return 2
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "brainage"
        message = cast("Any", error).format_message().rstrip(".")
        _tell(f"error: {message}; see '{asked} --help'")
        return 2
    return rank_exit_code(int(code or 0))


def main() -> None:
    """Entry point of the ``brainage`` program."""
    sys.exit(run())
