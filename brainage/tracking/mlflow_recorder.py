"""A listener that shows a run in MLflow, and steps aside when the tracking server fails."""

import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from brainage.core.types import Scalar
from brainage.tracking.config import TrackingConfig
from brainage.tracking.mlflow_api import MlflowClient, SystemMetricsMonitor
from brainage.tracking.mlflow_run import MlflowRun
from brainage.tracking.mlflow_store import PARENT_TAG, UUID_TAG, find_run, run_tags, start_run
from brainage.tracking.mlflow_values import is_unreachable, metrics_at, one_line
from brainage.tracking.sharing import Sharing, without_password

PATIENCE_SECONDS = 20.0
PATIENCE_SHARE = 0.1
RETRY_AFTER_SECONDS = 600.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# Stores that could not be reached, and when: each part of a run has a recorder of its own, and a
# server that hangs shall cost the run seconds once, not once a part.
_unreachable: dict[str, float] = {}


class MlflowRecorder:
    """A ``Recorder`` that writes to an MLflow store.

    The first exception from MLflow is logged as one warning and turns the recorder off for the rest
    of the run: the run goes on, and its ``events.jsonl`` has everything. So does a store that
    answers but has kept the run waiting for more than ``PATIENCE_SECONDS`` and a tenth of its time.
    Nothing here touches MLflow's process-wide state (active run, tracking URI).

    Args:
        config: the experiment and the store.
        run_name: name of the run in MLflow.
        tags: what the run is found by (objective, num_blocks, backbone ...).
        folder: the working folder, where a local store lies.
        run_folder: the run's own folder, where paths of results start.
        uuid: the run's own, by which a later sync finds it.
        run_id: continue this MLflow run, if it is there; else the run with that uuid, or a new one.
        parent_run_id: show the run below this one.
    """

    def __init__(
        self,
        config: TrackingConfig,
        *,
        run_name: str,
        tags: Mapping[str, Scalar],
        folder: Path,
        run_folder: Path,
        uuid: str,
        run_id: str | None = None,
        parent_run_id: str | None = None,
    ) -> None:
        self.uri = config.resolved_uri(folder)
        self.off_because: str | None = None
        self._shown: MlflowRun | None = None
        self._monitor: SystemMetricsMonitor | None = None
        self._closed = False
        self._off_level = logging.WARNING
        self._began = time.monotonic()
        self._waited = 0.0
        self._results: dict[str, float] = {}
        self._sharing = Sharing(predictions=config.upload_predictions)
        folders = {"folder": run_folder, "resolved_folder": run_folder.resolve()}
        self._sharing.event("run", folders)
        all_tags = run_tags(self._sharing.parameters(tags), uuid=uuid, parent_run_id=parent_run_id)
        failed_at = _unreachable.get(self.uri)
        if failed_at is not None and time.monotonic() - failed_at < RETRY_AFTER_SECONDS:
            self._turn_off("could not be reached a moment ago", logging.DEBUG)
        self._attempt("start", lambda: self._start(config, run_name, all_tags, run_folder, run_id))

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None when it could not be started."""
        return self._shown.id if self._shown else None

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Log the settings; on a continued run, a changed one becomes a ``resumed.`` tag."""
        self._attempt("log the parameters", lambda: self._run().parameters(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at one point of the run, in one batch."""
        self._results |= results_among(values)
        entries = metrics_at(values, step)
        if entries:
            self._attempt("log metrics", lambda: self._run().metrics(entries))

    def event(self, kind: str, **fields: Scalar) -> None:
        """Log data and models; other events are in ``events.jsonl`` only."""
        self._sharing.event(kind, fields)
        if kind == "dataset":
            self._attempt("log the data", lambda: self._run().dataset(fields))
        elif kind == "model":
            self._attempt(
                "log the model", lambda: self._run().model(fields, self._results), upload=True
            )

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file into ``folder``, or a folder's content into ``folder``/its name."""
        self._attempt(f"upload {path}", lambda: self._run().upload(path, folder), upload=True)

    def close(self, status: str) -> None:
        """End the run; ``status`` is one of ``STATUSES``. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop_monitor()
        if self.off_because is None:
            self._attempt("end the run", lambda: self._run().end(status))
        if self.off_because is not None:
            _log.log(
                self._off_level,
                "the MLflow record of this run is incomplete; events.jsonl has it all, and "
                "'brainage track sync' sends it",
            )

    def _start(
        self,
        config: TrackingConfig,
        run_name: str,
        tags: dict[str, str],
        run_folder: Path,
        run_id: str | None,
    ) -> None:
        client = MlflowClient(self.uri)
        ids = [run_id] if run_id else []
        known = find_run(client, config.experiment, uuid=tags[UUID_TAG], run_ids=ids)
        run = known or start_run(
            client, uri=self.uri, experiment=config.experiment, name=run_name, tags=tags
        )
        shown = MlflowRun(client, run, run_folder=run_folder, sharing=self._sharing)
        if known:
            client.update_run(shown.id, status="RUNNING")
            shown.tags(tags)
        self._shown = shown
        # The machine is the same for all parts of a run.
        if config.system_metrics and PARENT_TAG not in tags:
            self._monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                shown.id, resume_logging=known is not None, tracking_uri=self.uri
            )
            self._monitor.start()  # type: ignore[no-untyped-call]

    def _run(self) -> MlflowRun:
        assert self._shown is not None
        return self._shown

    def _attempt(self, what: str, action: Callable[[], _T], *, upload: bool = False) -> _T | None:
        """Do something with MLflow; after its first exception, nothing is attempted again."""
        if self.off_because is not None:
            return None
        began = time.monotonic()
        try:
            with warnings.catch_warnings():
                # MLflow's warnings are about itself, never about the run.
                warnings.simplefilter("ignore")
                return action()
        except Exception as error:  # whatever it is, training goes on
            if is_unreachable(error):
                _unreachable[self.uri] = time.monotonic()
            self._turn_off(f"could not {what}: {type(error).__name__}: {one_line(error)}")
            return None
        finally:
            # An upload takes the time that its bytes need.
            self._waited += 0.0 if upload else time.monotonic() - began
            self._check_patience()

    def _check_patience(self) -> None:
        lasted = time.monotonic() - self._began
        if self.off_because is None and self._waited > PATIENCE_SECONDS + PATIENCE_SHARE * lasted:
            _unreachable[self.uri] = time.monotonic()
            self._turn_off(f"is too slow: it took {self._waited:.0f} of {lasted:.0f} seconds")

    def _turn_off(self, problem: str, level: int = logging.WARNING) -> None:
        self._off_level = level
        self.off_because = without_password(f"MLflow at {self.uri} {problem}")
        _log.log(level, "MLflow is turned off for this run: %s", self.off_because)
        self._stop_monitor()

    def _stop_monitor(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        # Its thread may sit in a request to a dead server: wait for it, but not for long.
        stopper = threading.Thread(target=monitor.finish, daemon=True, name="stop-system-metrics")
        stopper.start()
        stopper.join(timeout=5.0)


def results_among(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers that tell how good a model is, shown beside it."""
    return {name: value for name, value in values.items() if name.startswith("test/")}
