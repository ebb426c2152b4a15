"""The process that makes checks: ``python -m brainage.workflows.doctor.probe CHECKS``.

``CHECKS`` is JSON. Every check is answered by one line of JSON on the stdout the process was
started with; what libraries print goes to stderr.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TextIO

from brainage.errors import BrainageError
from brainage.workflows.doctor.finding import Check, Finding


class ModelRefused(BrainageError):  # noqa: N818 - reads as what it is
    """The model that was asked for cannot be loaded: there is nothing to report on."""


def main() -> None:
    """Make the checks of the command line."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for words in json.loads(sys.argv[1]):
            _answer(Check(*words), answers)


def _answer(check: Check, answers: TextIO) -> None:
    try:
        content: dict[str, object] = {"findings": [asdict(each) for each in _made(check)]}
    except ModelRefused as error:
        content = {"refusal": str(error)}
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _made(check: Check) -> list[Finding]:
    """What a check found; whatever it stumbles over is a finding, too."""
    module, _, name = check.function.partition(":")
    try:
        function: Callable[..., list[Finding]] = getattr(importlib.import_module(module), name)
        return function(*check.arguments)
    except ModelRefused:
        raise
    except BaseException as error:  # a broken package raises what it likes
        reason = str(error).strip().splitlines() or [""]
        found = reason[0] if isinstance(error, BrainageError) else _named(error, reason[0])
        advice = "" if isinstance(error, BrainageError) else "see the lines on packages"
        return [
            Finding(
                group=check.group, name=check.name, status="problem", found=found, advice=advice
            )
        ]


def _named(error: BaseException, reason: str) -> str:
    return f"{type(error).__name__}: {reason}".rstrip(": ")


if __name__ == "__main__":
    # As the imported module, whose exception the checks raise.
    importlib.import_module("brainage.workflows.doctor.probe").main()
