"""Run checks in another process, which a broken package may take down without taking the report.

One process makes all checks, for most of its time goes into imports that they share. If it dies, or
hangs, the check it was at is a problem, and a new process goes on with the next one.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Timer
from typing import IO

from brainage.errors import BundleError
from brainage.workflows.doctor.finding import Check, Finding

SECONDS = 180.0
"""A check that takes longer hangs."""

_PROGRAM = (sys.executable, "-m", "brainage.workflows.doctor.probe")

_log = logging.getLogger(__name__)


def make_checks(checks: Sequence[Check], *, seconds: float = SECONDS) -> list[Finding]:
    """What all checks found, in their order.

    Args:
        checks: each is made once.
        seconds: longest time of one.

    Raises:
        BundleError: if a check says that the model that was asked for cannot be loaded.
    """
    findings: list[Finding] = []
    left = list(checks)
    while left:
        made = _in_one_process(left, seconds)
        if made.refusal:
            raise BundleError(made.refusal)
        findings += made.findings
        left = left[made.count :]
        if made.ended_by:
            findings.append(_died(left.pop(0), made.ended_by))
    return findings


@dataclass
class _Made:
    """What a process did: ``count`` checks, and how it ended before all were made."""

    findings: list[Finding]
    count: int = 0
    refusal: str = ""
    ended_by: str = ""


def _in_one_process(checks: Sequence[Check], seconds: float) -> _Made:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603 - this package itself
            [*_PROGRAM, json.dumps(checks)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        try:
            made = _listen(process, process.stdout, seconds)
        finally:
            process.kill()
            process.stdout.close()
            code = process.wait()
        if made.count < len(checks) and not made.refusal:
            made.ended_by = made.ended_by or f"the process ended with exit code {code}"
            made.ended_by += _last_words(said)
    return made


def _listen(process: subprocess.Popen[str], stream: IO[str], seconds: float) -> _Made:
    """Collect answers, one line a check, until the process has no more or stays silent."""
    made = _Made([])
    while True:
        timer = Timer(seconds, process.kill)
        timer.start()
        line = stream.readline()
        hung = not timer.is_alive()
        timer.cancel()
        if hung:
            made.ended_by = f"no answer in {seconds:g} s"
        if not line:
            return made
        answer = json.loads(line)
        if "refusal" in answer:
            made.refusal = answer["refusal"]
            return made
        made.findings += [Finding(**each) for each in answer["findings"]]
        made.count += 1
        for finding in made.findings[-len(answer["findings"]) :]:
            _log.debug("%s: %s", finding.name, finding.found)


def _died(check: Check, how: str) -> Finding:
    return Finding(
        group=check.group,
        name=check.name,
        status="problem",
        found=how,
        advice="install it again, or make a new environment",
    )


def _last_words(said: IO[str]) -> str:
    said.seek(0)
    lines = [line.strip() for line in said.read().splitlines() if line.strip()]
    return f"; it last said: {lines[-1][:200]}" if lines else ""
