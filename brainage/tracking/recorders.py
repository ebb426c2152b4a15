"""Open the recorders that a run asks for."""

import importlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from brainage.core.types import Recorder, Scalar
from brainage.tracking.config import TrackingConfig
from brainage.tracking.fanout import FanoutRecorder
from brainage.tracking.jsonl import JsonlRecorder, read_events
from brainage.tracking.sharing import without_password

if TYPE_CHECKING:
    from brainage.tracking.mlflow_recorder import MlflowRecorder

EVENTS_FILE = "events.jsonl"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRecord:
    """The recorders of one run: ``recorder`` speaks to all of them."""

    recorder: Recorder
    mlflow: "MlflowRecorder | None"

    @property
    def mlflow_run_id(self) -> str | None:
        """The id to continue the MLflow run with, None without MLflow."""
        return self.mlflow.run_id if self.mlflow else None


def open_recorders(
    config: TrackingConfig,
    run_folder: Path,
    *,
    run_name: str,
    tags: Mapping[str, Scalar],
    working_folder: Path,
    mlflow_run_id: str | None = None,
    parent_run_id: str | None = None,
    listeners: Sequence[Recorder] = (),
) -> RunRecord:
    """Open ``events.jsonl`` in the run's folder, MLflow when configured, and add listeners.

    A record begins with an event ``run``: the run's own uuid, its name and tags, and the uuid of
    the run above it, which is the one whose folder holds this one as ``parts/fold1``. With it,
    everything MLflow needs can be told later, see ``tracking.mlflow_sync``.

    Args:
        config: what is recorded where.
        run_folder: holds ``events.jsonl``, which is continued when it exists.
        run_name: name of the run in MLflow.
        tags: what the run is found by in MLflow.
        working_folder: where a local MLflow store lies.
        mlflow_run_id: the MLflow run to continue.
        parent_run_id: the MLflow run to show this one below.
        listeners: more recorders, for instance ``EpochProgress``.

    Raises:
        RunFolderError: if ``events.jsonl`` cannot be written.
    """
    own_uuid = _uuid_of(run_folder / EVENTS_FILE) or uuid.uuid4().hex
    jsonl = JsonlRecorder(run_folder / EVENTS_FILE)
    jsonl.event(
        "run",
        uuid=own_uuid,
        name=run_name,
        folder=str(run_folder),
        resolved_folder=str(run_folder.resolve()),
        experiment=config.experiment,
        uri=without_password(config.uri) if config.uri else None,
        upload_predictions=config.upload_predictions,
        parent_uuid=_uuid_of(run_folder.resolve().parent.parent / EVENTS_FILE),
        **{f"tag.{key}": value for key, value in tags.items()},
    )
    mlflow: MlflowRecorder | None = None
    if config.mlflow and (module := _mlflow_recorder_module()) is not None:
        mlflow = module.MlflowRecorder(
            config,
            run_name=run_name,
            tags=tags,
            folder=working_folder,
            run_folder=run_folder,
            uuid=own_uuid,
            run_id=mlflow_run_id,
            parent_run_id=parent_run_id,
        )
    if mlflow is not None and mlflow.run_id is not None:
        jsonl.event("mlflow", run_id=mlflow.run_id)
    recorders: list[Recorder] = [jsonl, *([mlflow] if mlflow else []), *listeners]
    return RunRecord(FanoutRecorder(recorders), mlflow)


def _mlflow_recorder_module() -> ModuleType | None:
    """MLflow takes seconds to import, and a run without it never pays them."""
    try:
        return importlib.import_module("brainage.tracking.mlflow_recorder")
    except Exception as error:  # a broken installation of MLflow stops no training either
        _log.warning("MLflow is turned off for this run: it cannot be imported: %s", error)
        return None


def _uuid_of(path: Path) -> str | None:
    """The uuid in a record; None when there is no record."""
    if not path.exists():
        return None
    known = [event.fields["uuid"] for event in read_events(path) if event.kind == "run"]
    return str(known[-1]) if known else None
