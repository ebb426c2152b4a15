"""Send a run's own record to an MLflow store: what the store does not have yet.

A record is replayed from its ``events.jsonl``, with the times that stand there. The run is found by
the id it had when it was recorded, or by its own uuid, which is a tag; else it is made. Everything
is compared with what is there, so a second sync adds nothing.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from brainage.core.types import Scalar
from brainage.errors import TrackingError
from brainage.tracking.jsonl import Event
from brainage.tracking.mlflow_api import Metric, MlflowClient, MlflowException, Run
from brainage.tracking.mlflow_recorder import results_among
from brainage.tracking.mlflow_run import MlflowRun
from brainage.tracking.mlflow_store import find_run, run_tags, start_run
from brainage.tracking.mlflow_values import is_unreachable, metrics_at, one_line
from brainage.tracking.sharing import Sharing

_log = logging.getLogger(__name__)

_TAG = "tag."
# The largest number that databases keep stands for infinity there.
_INFINITY = 1.7976931348623157e308


@dataclass(frozen=True)
class Record:
    """The record of one run.

    Args:
        folder: holds ``events.jsonl``; paths of results start there.
        events: its events, in order; at least one is a ``run``.
    """

    folder: Path
    events: tuple[Event, ...]

    @property
    def about(self) -> Mapping[str, Any]:
        """Uuid, name, experiment, tags and the uuid of the run above, as last recorded."""
        return self.last("run")

    @property
    def uuid(self) -> str:
        """The run's own."""
        return str(self.about["uuid"])

    def last(self, kind: str) -> dict[str, Any]:
        """The fields of the last event of a kind; none when there is no such event."""
        return next((event.fields for event in reversed(self.events) if event.kind == kind), {})

    def end(self) -> tuple[str, datetime]:
        """How the run ended, and when: a run that was killed did not say so."""
        last = self.events[-1]
        status = str(last.fields["status"]) if last.kind == "closed" else "killed"
        return status, last.time


@dataclass(frozen=True)
class Sent:
    """What a sync added to a run, by kind; zero everywhere when nothing was missing."""

    run_id: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """Whether something had been missing."""
        return any(self.counts.values())


def sync_record(record: Record, uri: str) -> Sent:
    """Send what is missing of one run.

    Args:
        record: the run; the run above it, if any, has been sent before.
        uri: the store.

    Raises:
        TrackingError: if the store fails.
    """
    try:
        with warnings.catch_warnings():
            # MLflow's warnings are about itself, never about the run.
            warnings.simplefilter("ignore")
            return _sync(record, MlflowClient(uri), uri)
    except (MlflowException, OSError) as error:
        if is_unreachable(error):
            raise TrackingError(
                f"{record.folder}: {one_line(uri)} does not answer; sync again when it does, or "
                "name another store with --uri"
            ) from error
        raise TrackingError(
            f"{record.folder}: not all of it could be sent to {one_line(uri)}: {one_line(error)}"
        ) from error


def run_of(record: Record, client: MlflowClient) -> Run | None:
    """The run in the store, if it is there and was not deleted."""
    ids = [event.fields["run_id"] for event in reversed(record.events) if event.kind == "mlflow"]
    experiment = str(record.about["experiment"])
    return find_run(client, experiment, uuid=record.uuid, run_ids=ids)


def _sync(record: Record, client: MlflowClient, uri: str) -> Sent:
    sharing = Sharing(predictions=bool(record.about["upload_predictions"]))
    parent_id = _parent_id(record, client)
    given = {
        key.removeprefix(_TAG): value for key, value in record.about.items() if key.startswith(_TAG)
    }
    tags = run_tags(sharing.parameters(given), uuid=record.uuid, parent_run_id=parent_id)
    run = run_of(record, client)
    counts = {"runs": int(run is None)}
    if run is None:
        run = start_run(
            client,
            uri=uri,
            experiment=str(record.about["experiment"]),
            name=str(record.about["name"]),
            tags=tags,
            started_ms=_milliseconds(record.events[0].time),
        )
    shown = MlflowRun(client, run, run_folder=record.folder, sharing=sharing)
    counts["tags"] = shown.tags(tags)
    counts |= _replay(record.events, shown, sharing)
    status, ended = record.end()
    counts["ends"] = int(shown.end(status, _end_time(run, status, _milliseconds(ended))))
    return Sent(shown.id, counts)


def _end_time(run: Run, status: str, ended_ms: int) -> int:
    """The end that a run recorded live has already, a moment after its own record's."""
    same = run.info.status == status.upper() and run.info.end_time is not None
    return int(run.info.end_time) if same else ended_ms


def _parent_id(record: Record, client: MlflowClient) -> str | None:
    """MLflow's id of the run above; None without one, or when it is not in the store."""
    uuid = record.about.get("parent_uuid")
    if uuid is None:
        return None
    parent = find_run(client, str(record.about["experiment"]), uuid=str(uuid), run_ids=())
    return str(parent.info.run_id) if parent else None


def _replay(events: Iterable[Event], shown: MlflowRun, sharing: Sharing) -> dict[str, int]:
    """Send events in order; how many of each kind had been missing."""
    sent = dict.fromkeys(("parameters", "metrics", "datasets", "artifacts", "models"), 0)
    events = list(events)
    sent["metrics"] = _send_metrics(events, shown)
    datasets, uploaded = shown.datasets(), shown.uploaded()
    results: dict[str, float] = {}
    for event in events:
        fields = event.fields
        sharing.event(event.kind, fields)
        if event.kind == "parameters":
            sent["parameters"] += shown.parameters(fields)
        elif event.kind == "metrics":
            results |= results_among(_numbers(fields["values"]))
        elif event.kind == "dataset" and _identity(fields) not in datasets:
            datasets.add(_identity(fields))
            shown.dataset(fields)
            sent["datasets"] += 1
        elif event.kind == "artifact" and _is_there(shown, fields["path"]):
            sent["artifacts"] += shown.upload(
                Path(fields["path"]), str(fields["folder"]), unless=uploaded
            )
        elif event.kind == "model" and _is_there(shown, fields["folder"]):
            sent["models"] += int(shown.model(fields, results))
    return sent


def _is_there(shown: MlflowRun, path: str) -> bool:
    """Whether a result still exists; one that was removed since is not missed quietly."""
    found = shown.path_of(Path(path)).exists()
    if not found:
        _log.warning("%s: no longer there, not sent", path)
    return found


def _send_metrics(events: Iterable[Event], shown: MlflowRun) -> int:
    """Send the numbers that are not there with their step and value, with their own times."""
    entries: list[Metric] = []
    for event in events:
        if event.kind == "metrics":
            values = _numbers(event.fields["values"])
            entries += metrics_at(values, int(event.fields["step"]), _milliseconds(event.time))
    known = {
        (key, *_point(step, value))
        for key in sorted({entry.key for entry in entries})
        for step, value in shown.metric_points(key)
    }
    missing: dict[tuple[str, int, str], Metric] = {}
    for entry in entries:
        point = (entry.key, *_point(entry.step, entry.value))
        if point not in known:
            missing.setdefault(point, entry)
    shown.metrics(list(missing.values()))
    return len(missing)


def _point(step: int, value: float) -> tuple[int, str]:
    """A number that can be compared: NaN is itself, infinity what a database makes of it."""
    bounded = max(-_INFINITY, min(_INFINITY, value)) if not math.isnan(value) else value
    return step, f"{bounded:.12g}"


def _numbers(values: Mapping[str, Scalar]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None}


def _identity(fields: Mapping[str, Any]) -> tuple[str, str]:
    return str(fields["name"]), str(fields["digest"])


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
