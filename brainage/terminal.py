"""What all commands share: where logs and results go, interruption, the summary as text or JSON."""

import json
import logging
import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Protocol, TextIO

import typer

from brainage.environment import prepare_environment
from brainage.errors import RunFolderError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, all else on stderr.")
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        metavar="",
        show_default=False,
        help="Log more; -vv also what libraries log.",
    ),
]


class Summary(Protocol):
    """What a workflow hands back."""

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan or run failed."""

    def describe(self) -> list[str]:
        """Lines for people."""

    def to_json(self) -> dict[str, Any]:
        """The numbers of the summary, of plain types."""


@contextmanager
def reporting(as_json: bool, verbosity: int) -> Iterator[TextIO]:
    """Log to stderr, and yield the stream that the result goes to.

    With ``as_json`` everything else that is written to stdout, by C libraries and child processes
    too, ends up on stderr: file descriptor 1 is turned there for the rest of the process, because
    buffers of C libraries are emptied only when it ends.
    """
    # Before any workflow is imported: MONAI imports MLflow, which reads its environment only then.
    prepare_environment()
    ours = logging.DEBUG if verbosity else logging.INFO if _rank() == 0 else logging.WARNING
    others = logging.INFO if verbosity > 1 else logging.WARNING
    logging.basicConfig(
        level=others, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("brainage").setLevel(ours)
    if not as_json:
        yield sys.stdout
        return
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):
        try:
            descriptor = stdout.fileno()
        except OSError:  # no file behind it: a notebook or a test
            yield stdout
            return
        stdout.flush()
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as result:
            os.dup2(sys.stderr.fileno(), descriptor)
            yield result


@contextmanager
def resumable_by(command: Sequence[str], last: str | None) -> Iterator[None]:
    """End on Ctrl-C with the command that goes on from there.

    ``last`` is its last word. A workflow that has to choose it, a new run's folder, gives it as the
    argument of the ``KeyboardInterrupt``; without it there is nothing to go on from.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        last = str(interrupt.args[0]) if interrupt.args else last
        resume = f"; resume with: {shlex.join([*command, last])}" if last else ""
        tell(f"interrupted{resume}")
        raise typer.Exit(130) from None


def given_or_saved(config: Path | None, resume: Path | None) -> Path | None:
    """The configuration that is named, else the one saved with what is resumed; None of neither.

    Raises:
        RunFolderError: if there is nothing to resume.
    """
    if config is not None or resume is None:
        return config
    saved = resume / "config.yaml"
    if not saved.is_file():
        raise RunFolderError(f"{resume}: nothing to resume: config.yaml is not there")
    return saved


def finish(summary: Summary, as_json: bool, out: TextIO) -> int:
    """Write the summary and return its exit code; of several ranks, the first one writes."""
    if _rank() > 0:
        return summary.exit_code
    if as_json:
        out.write(json.dumps(_json_values(summary.to_json())) + "\n")
    else:
        out.writelines(f"{line}\n" for line in summary.describe())
    return summary.exit_code


def _json_values(value: Any) -> Any:
    """JSON knows no NaN and no infinity: a number that does not exist is null."""
    if isinstance(value, dict):
        return {key: _json_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_rank() -> bool:
    """Whether a launcher such as torchrun started this process."""
    return "WORLD_SIZE" in os.environ


def devices_words() -> list[str]:
    """``--devices N`` for a command that goes on with a run of several ranks."""
    ranks = os.environ.get("WORLD_SIZE", "1")
    return [] if ranks == "1" else ["--devices", ranks]


def option_words(**options: object) -> list[str]:
    """The options that were given, as words of a command line; a list gives one for each item."""
    return [
        word
        for name, value in options.items()
        if value is not None
        for each in (value if isinstance(value, list) else [value])
        for word in (f"--{name}", str(each))
    ]


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def tell(message: str) -> None:
    """Say one line on stderr."""
    typer.echo(" ".join(message.split()), err=True)
