"""A listener that shows a run in MLflow, and steps aside when the tracking server fails."""

import logging
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from brainage.core.types import Scalar
from brainage.tracking.config import TrackingConfig
from brainage.tracking.mlflow_environment import prepare_environment

prepare_environment()  # MLflow reads its environment while it is imported

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor  # noqa: E402

from brainage.tracking.mlflow_model import log_folder_model  # noqa: E402
from brainage.tracking.mlflow_values import (  # noqa: E402
    MAX_KEY_LENGTH,
    MAX_PARAMETER_LENGTH,
    MAX_PARAMETERS_PER_BATCH,
    MAX_TAG_LENGTH,
    artifacts_beside,
    key_of,
    metrics_now,
    text_of,
    without_password,
)

# MLflow otherwise guesses from the runs whether an experiment is about models or language agents.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
RUN_TAGS = {"mlflow.source.name": "brainage", "mlflow.source.type": "LOCAL"}
MAX_REASON_LENGTH = 200
STATUSES = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# Its notes on each retry say what the one warning of a failed attempt says, in more lines.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class MlflowRecorder:
    """A ``Recorder`` that writes to an MLflow store.

    The first exception from MLflow is logged as one warning and turns the recorder off for the rest
    of the run: the run goes on, and its ``events.jsonl`` has everything. Nothing here touches
    MLflow's process-wide state (active run, tracking URI).

    Args:
        config: the experiment and the store.
        run_name: name of the run in MLflow.
        tags: what the run is found by (objective, num_blocks, backbone ...).
        folder: the working folder, where a local store lies.
        run_id: continue this MLflow run; None starts one.
        parent_run_id: show the run below this one.
    """

    def __init__(
        self,
        config: TrackingConfig,
        *,
        run_name: str,
        tags: Mapping[str, Scalar],
        folder: Path,
        run_id: str | None = None,
        parent_run_id: str | None = None,
    ) -> None:
        self.uri = config.resolved_uri(folder)
        self.run_id: str | None = None
        self.off_because: str | None = None
        self._experiment_id = ""
        self._monitor: SystemMetricsMonitor | None = None
        self._closed = False
        given = {key_of(key): text_of(value)[:MAX_TAG_LENGTH] for key, value in tags.items()}
        all_tags = {**RUN_TAGS, **given}
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        self._attempt("start", lambda: self._start(config, run_name, all_tags, run_id))

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """Log the settings; on a continued run, a changed one becomes a ``resumed.`` tag."""
        self._attempt("log the parameters", lambda: self._log_parameters(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at one point of the run, in one batch."""
        entries = metrics_now(values, step)
        if entries:
            self._attempt(
                "log metrics", lambda: self._client.log_batch(self._run(), metrics=entries)
            )

    def event(self, kind: str, **fields: Scalar) -> None:
        """Events are in ``events.jsonl`` only: MLflow has no place for them."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file into ``folder``, or a folder's content into ``folder``/its name."""
        if path.is_dir():
            target = f"{folder}/{path.name}" if folder else path.name
            self._attempt(
                f"upload {path}",
                lambda: self._client.log_artifacts(self._run(), str(path), target),
            )
        else:
            self._attempt(
                f"upload {path}",
                lambda: self._client.log_artifact(self._run(), str(path), folder or None),
            )

    def log_model(
        self,
        model_folder: Path,
        *,
        name: str,
        loader: str,
        requirements: Sequence[str],
        metrics: Mapping[str, float],
        step: int = 0,
    ) -> str | None:
        """Store a model folder as a logged model of the run, loadable by ``mlflow.pyfunc``.

        Args:
            model_folder: the finished model.
            name: name of the model in MLflow.
            loader: ``package.module:function``; see ``tracking.folder_model``. It is called when
                the model is loaded, not now.
            requirements: what pip installs to load the model.
            metrics: the results to show beside the model.
            step: the epoch the model comes from.

        Returns:
            The id of the model, or None when MLflow is off.
        """
        return self._attempt(
            "log the model",
            lambda: log_folder_model(
                self._client,
                experiment_id=self._experiment_id,
                run_id=self._run(),
                model_folder=model_folder,
                name=name,
                loader=loader,
                requirements=requirements,
                metrics=metrics,
                step=step,
            ),
        )

    def close(self, status: str) -> None:
        """End the run; ``status`` is one of ``STATUSES``. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop_monitor()
        if self.off_because is None:
            ended = STATUSES[status]
            self._attempt("end the run", lambda: self._client.set_terminated(self._run(), ended))
        if self.off_because is not None:
            _log.warning("the MLflow record of this run is incomplete; events.jsonl has it all")

    def _start(
        self, config: TrackingConfig, run_name: str, tags: dict[str, str], run_id: str | None
    ) -> None:
        self._client = MlflowClient(self.uri)
        if run_id is None:
            self._experiment_id = self._find_experiment(config.experiment)
            run = self._client.create_run(self._experiment_id, run_name=run_name, tags=tags)
        else:
            run = self._client.get_run(run_id)
            self._experiment_id = run.info.experiment_id
            self._client.update_run(run_id, status="RUNNING")
            self._client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        self.run_id = run.info.run_id
        if config.system_metrics:
            self._monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                self.run_id, resume_logging=run_id is not None, tracking_uri=self.uri
            )
            self._monitor.start()  # type: ignore[no-untyped-call]

    def _find_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self._client.create_experiment(
                    name, artifacts_beside(self.uri), tags=EXPERIMENT_TAGS
                )
            except MlflowException:  # another process was faster, or the store really fails
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        return str(experiment.experiment_id)

    def _log_parameters(self, values: Mapping[str, Scalar]) -> None:
        new = {key_of(key): text_of(value)[:MAX_PARAMETER_LENGTH] for key, value in values.items()}
        # A parameter cannot change in MLflow, and a resumed run may train for longer.
        old = self._client.get_run(self._run()).data.params
        params = [Param(key, value) for key, value in new.items() if key not in old]
        for first in range(0, len(params), MAX_PARAMETERS_PER_BATCH):
            batch = params[first : first + MAX_PARAMETERS_PER_BATCH]
            self._client.log_batch(self._run(), params=batch)
        for key, value in new.items():
            if old.get(key, value) != value:
                tag = f"resumed.{key}"[:MAX_KEY_LENGTH]
                self._client.set_tag(self._run(), tag, value[:MAX_TAG_LENGTH])

    def _run(self) -> str:
        assert self.run_id is not None
        return self.run_id

    def _attempt(self, what: str, action: Callable[[], _T]) -> _T | None:
        """Do something with MLflow; after its first exception, nothing is attempted again."""
        if self.off_because is not None:
            return None
        try:
            with warnings.catch_warnings():
                # MLflow's warnings are about itself, never about the run.
                warnings.simplefilter("ignore")
                return action()
        except Exception as error:  # whatever it is, training goes on
            reason = (str(error).splitlines() or [""])[0][:MAX_REASON_LENGTH]
            self.off_because = without_password(
                f"MLflow at {self.uri} could not {what}: {type(error).__name__}: {reason}"
            )
            _log.warning("MLflow is turned off for this run: %s", self.off_because)
            self._stop_monitor()
            return None

    def _stop_monitor(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        # Its thread may sit in a request to a dead server: wait for it, but not for long.
        stopper = threading.Thread(target=monitor.finish, daemon=True, name="stop-system-metrics")
        stopper.start()
        stopper.join(timeout=5.0)
