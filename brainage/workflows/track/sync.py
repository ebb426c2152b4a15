"""``brainage track sync``: send to MLflow what it does not have of finished runs."""

import importlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from brainage.errors import RunFolderError, TrackingError
from brainage.tracking.config import TrackingConfig
from brainage.tracking.jsonl import read_events
from brainage.tracking.progress import StageProgress
from brainage.tracking.recorders import EVENTS_FILE
from brainage.tracking.sharing import without_password
from brainage.workflows.train.run_folder import RunFolder

if TYPE_CHECKING:
    from brainage.tracking.mlflow_sync import Record

_LOCK = ".lock"
# The words for what was sent, by the kinds that ``mlflow_sync`` counts.
_WORDS = {
    "runs": "run",
    "tags": "tag",
    "parameters": "parameter",
    "metrics": "metric value",
    "datasets": "data set",
    "artifacts": "file",
    "models": "model",
    "ends": "end",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SyncRow:
    """What became of one folder; ``sent`` counts what had been missing, by kind."""

    run: Path
    status: Literal["synced", "skipped", "failed"]
    reason: str = ""
    uri: str = ""
    mlflow_run_ids: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """One line."""
        if self.status != "synced":
            return f"{self.run}: {self.status}: {self.reason}"
        counts = {_WORDS[kind]: count for kind, count in self.sent.items() if count}
        words = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items()]
        return f"{self.run}: " + (f"sent {', '.join(words)}" if words else "nothing was missing")


@dataclass(frozen=True, kw_only=True)
class SyncSummary:
    """Result of ``brainage track sync``: a row for each folder."""

    rows: list[SyncRow]

    @property
    def exit_code(self) -> int:
        """0, or 1 when a run was not sent."""
        return int(any(row.status != "synced" for row in self.rows))

    def describe(self) -> list[str]:
        """One line for each folder, and where it all went."""
        stores = sorted({row.uri for row in self.rows if row.uri})
        return [*(row.describe() for row in self.rows), *(f"store: {uri}" for uri in stores)]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values


def sync_runs(folders: Sequence[Path], *, uri: str | None = None) -> SyncSummary:
    """Send what is missing of every run in the folders, those above before those below.

    Args:
        folders: of runs or comparisons; what is no run is skipped.
        uri: the store; None takes what each run was configured with.

    Raises:
        RunFolderError: if none of them is a run.
        TrackingError: if the store failed for all of them.
    """
    rows: list[SyncRow] = []
    failures: list[TrackingError] = []
    with StageProgress("sending", len(folders), "run") as progress:
        for folder in folders:
            try:
                with held_records(folder) as records:
                    rows.append(_sync_folder(folder, records, uri))
            except RunFolderError as error:
                reason = str(error).removeprefix(f"{folder}: ")
                rows.append(SyncRow(run=folder, status="skipped", reason=reason))
            except TrackingError as error:
                failures.append(error)
                rows.append(SyncRow(run=folder, status="failed", reason=str(error)))
            progress.advance()
    if failures and len(failures) == len(rows):
        raise failures[0]
    if not any((folder / EVENTS_FILE).is_file() for folder in folders):
        raise RunFolderError(f"{folders[0]}: no run to send: {EVENTS_FILE} is not there")
    return SyncSummary(rows=rows)


@contextmanager
def held_records(folder: Path) -> Iterator[list["Record"]]:
    """The records of a run and of those below it, while no other process can go on with them.

    Raises:
        RunFolderError: if there is none, or a process is using them.
    """
    # MLflow takes seconds to import.
    sync = importlib.import_module("brainage.tracking.mlflow_sync")
    paths = sorted(folder.rglob(EVENTS_FILE), key=lambda path: len(path.parts))
    if not paths or paths[0].parent != folder:
        raise RunFolderError(f"{folder}: no run to send: {EVENTS_FILE} is not there")
    with ExitStack() as held:
        for path in paths:
            if (path.parent / _LOCK).exists():
                held.callback(RunFolder(path.parent).close)
        records = [sync.Record(path.parent, tuple(read_events(path))) for path in paths]
        yield [record for record in records if record.last("run")]


def store_of(record: "Record", uri: str | None) -> str:
    """The store a run belongs to, unless one was named."""
    return uri or TrackingConfig(uri=record.about.get("uri")).resolved_uri(Path.cwd())


def _sync_folder(folder: Path, records: Sequence["Record"], uri: str | None) -> SyncRow:
    sync = importlib.import_module("brainage.tracking.mlflow_sync")
    counts: Counter[str] = Counter()
    ids: list[str] = []
    store = ""
    for record in records:
        store = store_of(record, uri)
        sent = sync.sync_record(record, store)
        counts.update(sent.counts)
        ids.append(sent.run_id)
        _log.debug("%s: %s", record.folder, dict(sent.counts))
    return SyncRow(
        run=folder,
        status="synced",
        uri=without_password(store),
        mlflow_run_ids=ids,
        sent=dict(counts),
    )
