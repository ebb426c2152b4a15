"""The reference of the command line, read from the program itself."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from brainage.cli import app


def command_line_page() -> str:
    """Describe every command: usage, what it does, example, arguments and options."""
    lines = [
        "# Command line",
        "",
        "Every command takes `--help`. Exit code 0: all done. 1: done, but a scan or a run failed;",
        "each has its row. 2: the input is wrong, in one line. Anything else is a mistake of ours.",
        "",
    ]
    for words, command in _commands(typer.main.get_command(app), ("brainage",)):
        lines += _command(words, command)
    return "\n".join(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*words, name))


def _command(words: tuple[str, ...], command: Any) -> list[str]:
    """Lines about one command; the program and groups of commands have no options worth a table."""
    context = typer.Context(command, info_name=" ".join(words))
    usage = command.get_usage(context).removeprefix("Usage: ")
    below = getattr(command, "commands", {})
    lines = [f"{'#' * min(len(words), 3) if len(words) > 1 else '##'} {' '.join(words)}", ""]
    lines += ["```text", " ".join(usage.split()), "```", ""]
    lines += [*_help(command.help or ""), ""]
    if below:
        told = [f"`{name}` {_first(item.help)}" for name, item in below.items()]
        return [*lines, *(f"* {line}" for line in told), ""]
    rows = [row for parameter in command.get_params(context) if (row := _row(parameter, context))]
    return [*lines, "| | |", "|---|---|", *rows, ""]


def _help(text: str) -> Iterator[str]:
    """Paragraphs as they are, the example (after its mark) as code."""
    told, _, example = inspect.cleandoc(text).partition("\b\n")
    yield _safe(told.strip())
    if example:
        commands = inspect.cleandoc("\n".join(example.splitlines()[1:]))
        yield from ("", "```sh", commands, "```")


def _row(parameter: Any, context: Any) -> str | None:
    record = None if "--help" in parameter.opts else parameter.get_help_record(context)
    if record is None:
        return None
    name, text = record
    return f"| `{name.replace('|', ' or ')}` | {_safe(text)} |"


def _safe(text: str) -> str:
    """Text that Markdown takes literally, in one line where it was one paragraph."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    for mark in ("\\", "|", "*", "_", "<", "[", "`"):
        paragraphs = [part.replace(mark, "\\" + mark) for part in paragraphs]
    return "\n\n".join(paragraphs)


def _first(text: str | None) -> str:
    return _safe(inspect.cleandoc(text or "").partition("\n\n")[0])
