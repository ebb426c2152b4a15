"""Who has been scored on which scans: one file for each user, whatever folder results go to.

A test set on which one model after another is scored chooses the model; the lowest error is then
too good. The file holds hashes only. ``BRAINAGE_EVALUATIONS`` names another one, such as one that
a laboratory shares.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from brainage.errors import CohortError, RunFolderError
from brainage.reporting.counts import some_of

LEDGER_VARIABLE = "BRAINAGE_EVALUATIONS"
_DIGITS = 16


class ScanKeys(NamedTuple):
    """What one scan is known by; hashes, no names."""

    person: str
    """Of subject, session and age."""

    content: str | None
    """Of the scan's bytes; None where they could not be read."""


@dataclass(frozen=True)
class EarlierModel:
    """Another model that was scored on some of the same scans."""

    model: str
    day: str
    """Of the last time, ISO 8601."""

    shared: int
    """Scans in common."""


class EarlierUse(NamedTuple):
    """What scans were used for before."""

    others: tuple[EarlierModel, ...]
    """Other models that were scored on some of them, the last to be scored last."""

    repeated: bool
    """Whether this very model was scored on all of them."""


def ledger_path() -> Path:
    """The file: as the variable says, or in the user's state folder."""
    given = os.environ.get(LEDGER_VARIABLE)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(state, "brainage", "evaluations.jsonl")


def scan_keys(subject: str, session: str | None, age_years: float, sha256: str | None) -> ScanKeys:
    """What a scan is known by."""
    person = f"{subject}\n{session or ''}\n{age_years:.2f}".encode("utf-8", "surrogateescape")
    return ScanKeys(
        f"p{hashlib.sha256(person).hexdigest()[:_DIGITS]}",
        f"s{sha256[:_DIGITS]}" if sha256 else None,
    )


def earlier_use(path: Path, model: str, scans: Sequence[ScanKeys]) -> EarlierUse:
    """What was noted of these scans.

    Raises:
        RunFolderError: if the file cannot be read, or a line of it is damaged.
    """
    others: dict[str, EarlierModel] = {}
    own: frozenset[str] = frozenset()
    for entry_model, day, keys in _entries(path):
        shared = _num_shared(scans, keys)
        if entry_model == model:
            own |= keys
        elif shared:
            before = others.pop(entry_model, None)
            most = max(shared, before.shared if before else 0)
            others[entry_model] = EarlierModel(entry_model, day, most)
    return EarlierUse(tuple(others.values()), _num_shared(scans, own) == len(scans))


def _num_shared(scans: Sequence[ScanKeys], keys: frozenset[str]) -> int:
    """Scans in common: of equal bytes, or of equal subjects and ages if that is half of them.

    Other studies have a sub-01 of the same age, too; a table may name files that are not there.
    """
    contents = sum(scan.content in keys for scan in scans)
    people = sum(scan.person in keys for scan in scans)
    return max(contents, people if 2 * people >= len(scans) else 0)


def refuse_second_model(use: EarlierUse, num_scans: int, *, again: bool) -> None:
    """Refuse scans that another model was scored on, unless the user asks for it.

    A model that was scored on all of them before tells nothing new.

    Raises:
        CohortError: names the last of those models.
    """
    if use.others and not use.repeated and not again:
        last = use.others[-1]
        some = some_of(last.shared, num_scans, "scan", ("was", "were"))
        raise CohortError(
            f"{some} used to score another model ({last.model}, "
            f"{last.day}); choosing between models by their test error makes it too good; add "
            "--again to go on, and the report will count the models"
        )


def note_evaluation(path: Path, model: str, scans: Iterable[ScanKeys]) -> None:
    """Add a line, before any number is shown.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    entry = {
        "day": datetime.now(UTC).date().isoformat(),
        "model": model,
        "scans": sorted({key for scan in scans for key in scan if key is not None}),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot note the evaluation: {error.strerror}; set {LEDGER_VARIABLE} to a "
            "file that can be written"
        ) from error


def _entries(path: Path) -> list[tuple[str, str, frozenset[str]]]:
    """Model, day and scans of every line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot read earlier evaluations: {error}") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries.append((str(entry["model"]), str(entry["day"]), frozenset(entry["scans"])))
        except (ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"{path}: line {number} is damaged, so that earlier evaluations are not known; "
                "mend it, or move the file away"
            ) from error
    return entries
