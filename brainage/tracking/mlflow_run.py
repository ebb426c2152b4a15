"""One run in an MLflow store, written piece by piece, now or later.

Everything may be written again: what is there already is not added twice. Exceptions of MLflow pass
through; the listener of a run that is going on and the later sync answer them differently.
"""

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainage.core.types import Scalar
from brainage.tracking.mlflow_api import (
    CodeDatasetSource,
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    Run,
    RunTag,
)
from brainage.tracking.mlflow_model import log_folder_model
from brainage.tracking.mlflow_values import (
    MAX_KEY_LENGTH,
    MAX_METRICS_PER_BATCH,
    MAX_PARAMETER_LENGTH,
    MAX_PARAMETERS_PER_BATCH,
    MAX_TAG_LENGTH,
    artifacts_beside,
    key_of,
    text_of,
)
from brainage.tracking.sharing import Sharing

# MLflow otherwise guesses from the runs whether an experiment is about models or language agents.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
RUN_TAGS = {"mlflow.source.name": "brainage", "mlflow.source.type": "LOCAL"}
PARENT_TAG = "mlflow.parentRunId"
UUID_TAG = "brainage.uuid"
STATUSES = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
DATASET_FACTS = (
    "scans", "subjects", "sites", "age_years_low", "age_years_high", "manifest_sha256",
)  # fmt: skip

_log = logging.getLogger(__name__)


class MlflowRun:
    """A run that exists in a store.

    Args:
        client: speaks to the store.
        run: the run.
        run_folder: where paths of results start.
        sharing: what of them may leave that folder.
    """

    def __init__(
        self, client: MlflowClient, run: Run, *, run_folder: Path, sharing: Sharing
    ) -> None:
        self._client = client
        self._folder = run_folder
        self._sharing = sharing
        self._experiment_id = str(run.info.experiment_id)
        self.id = str(run.info.run_id)

    def tags(self, values: Mapping[str, str]) -> int:
        """Set tags; returns how many were other or missing."""
        old = self._client.get_run(self.id).data.tags
        new = {key: value for key, value in values.items() if old.get(key) != value}
        if new:
            self._client.log_batch(self.id, tags=[RunTag(*tag) for tag in new.items()])
        return len(new)

    def parameters(self, values: Mapping[str, Scalar]) -> int:
        """Log settings; one that was logged with another value becomes a tag ``resumed.``.

        A parameter cannot change in MLflow, and a resumed run may train for longer.
        """
        new = {
            key_of(key): text_of(value)[:MAX_PARAMETER_LENGTH]
            for key, value in self._sharing.parameters(values).items()
        }
        old = self._client.get_run(self.id).data.params
        params = [Param(key, value) for key, value in new.items() if key not in old]
        for batch in _batches(params, MAX_PARAMETERS_PER_BATCH):
            self._client.log_batch(self.id, params=batch)
        changed = {
            f"resumed.{key}"[:MAX_KEY_LENGTH]: value[:MAX_TAG_LENGTH]
            for key, value in new.items()
            if old.get(key, value) != value
        }
        return len(params) + (self.tags(changed) if changed else 0)

    def metrics(self, entries: Sequence[Metric]) -> None:
        """Log numbers, each with its own step and time."""
        for batch in _batches(entries, MAX_METRICS_PER_BATCH):
            self._client.log_batch(self.id, metrics=batch)

    def dataset(self, fields: Mapping[str, Any]) -> None:
        """Log what one part of the cohort is: counts and a digest, nobody's name.

        Args:
            fields: of an event ``dataset``: ``name``, ``digest``, ``context`` (train, validation,
                test) and those of ``DATASET_FACTS``.
        """
        facts = {name: fields[name] for name in DATASET_FACTS if fields.get(name) is not None}
        source = CodeDatasetSource(tags={"what": "T1w scans of a manifest", **facts})
        columns = [{"type": "string", "name": "scan"}, {"type": "double", "name": "age_years"}]
        dataset = Dataset(
            name=str(fields["name"]),
            digest=str(fields["digest"]),
            source_type=source._get_source_type(),
            source=source.to_json(),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": fields.get("scans"), **facts}),
        )
        context = InputTag("mlflow.data.context", str(fields["context"]))
        self._client.log_inputs(self.id, [DatasetInput(dataset, [context])])

    def datasets(self) -> set[tuple[str, str]]:
        """Name and digest of the data that are logged."""
        inputs = self._client.get_run(self.id).inputs.dataset_inputs
        return {(entry.dataset.name, entry.dataset.digest) for entry in inputs}

    def upload(
        self, path: Path, folder: str = "", *, unless: Mapping[str, int] | None = None
    ) -> int:
        """Upload a file into ``folder``, or a folder's content into ``folder``/its name.

        Args:
            path: what to upload.
            folder: where to, inside the run's artifacts.
            unless: files that are there, with their bytes, which are left out.

        Returns:
            Files uploaded.

        Raises:
            OSError: if a file cannot be read.
        """
        path = self.path_of(path)
        files = sorted(file for file in path.rglob("*") if file.is_file()) or [path]
        sent = 0
        with tempfile.TemporaryDirectory(prefix="brainage-") as temporary:
            for file in files:
                if self._sharing.is_kept_here(file):
                    continue
                target = Path(folder) / file.relative_to(path.parent)
                copy = Path(temporary) / target
                self._sharing.copy(file, copy)
                if (unless or {}).get(target.as_posix()) == copy.stat().st_size:
                    copy.unlink()
                sent += copy.exists()
            if sent:
                self._client.log_artifacts(self.id, temporary)
        return sent

    def path_of(self, path: Path) -> Path:
        """Where a result lies: in the run's folder, if it is found there."""
        inside = self._folder / path
        return inside if inside.exists() else path

    def uploaded(self) -> dict[str, int]:
        """Files among the run's artifacts, with their bytes."""
        return dict(_files_below(self._client, self.id, None))

    def model(self, fields: Mapping[str, Any], metrics: Mapping[str, float]) -> bool:
        """Store the run's model, unless it is there.

        Args:
            fields: of an event ``model``: ``folder``, ``name``, ``loader``, ``model_hash`` and
                ``step``.
            metrics: the results to show beside it.

        Returns:
            Whether it had been missing.
        """
        return log_folder_model(
            self._client,
            experiment_id=self._experiment_id,
            run_id=self.id,
            model_folder=self._folder / str(fields["folder"]),
            name=str(fields["name"]),
            loader=str(fields["loader"]),
            model_hash=str(fields["model_hash"]),
            metrics=metrics,
            step=int(fields["step"]),
        )

    def metric_points(self, key: str) -> list[tuple[int, float]]:
        """Step and value of everything logged under a name."""
        return [(e.step, e.value) for e in self._client.get_metric_history(self.id, key)]

    def end(self, status: str, time_ms: int | None = None) -> bool:
        """End the run, now or at a time; False if it had ended so. ``status`` as in STATUSES."""
        info = self._client.get_run(self.id).info
        if (info.status, info.end_time) == (STATUSES[status], time_ms):
            return False
        self._client.set_terminated(self.id, STATUSES[status], time_ms)
        return True


def start_run(
    client: MlflowClient,
    *,
    uri: str,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    started_ms: int | None = None,
) -> Run:
    """Begin a run, now or at a time in the past; the experiment is made when there is none."""
    experiment_id = find_experiment(client, uri, experiment)
    return client.create_run(experiment_id, started_ms, {**RUN_TAGS, **tags}, name)


def find_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of an experiment, made when there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifacts_beside(uri), EXPERIMENT_TAGS))
        except MlflowException:  # another process was faster, or the store really fails
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def find_run(
    client: MlflowClient, experiment: str, *, uuid: str, run_ids: Iterable[str]
) -> Run | None:
    """A run of ours that the store has, and that was not deleted there.

    Args:
        client: speaks to the store.
        experiment: name of its experiment.
        uuid: the run's own, which it carries as a tag.
        run_ids: ids it had, in this store or in another.
    """
    for run_id in run_ids:
        run = _active_run(client, run_id)
        if run is not None and run.data.tags.get(UUID_TAG) == uuid:
            return run
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return None
    wanted = f"tags.`{UUID_TAG}` = '{uuid}'"
    order = ["attributes.start_time ASC"]
    found = client.search_runs([known.experiment_id], wanted, max_results=1, order_by=order)
    return found[0] if found else None


def _active_run(client: MlflowClient, run_id: str) -> Run | None:
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def run_tags(
    tags: Mapping[str, Scalar], *, uuid: str | None, parent_run_id: str | None
) -> dict[str, str]:
    """Tags as MLflow takes them, with the run's uuid and the run above it."""
    given = {
        key_of(key): text_of(value)[:MAX_TAG_LENGTH]
        for key, value in tags.items()
        if value is not None
    }
    own = {UUID_TAG: uuid, PARENT_TAG: parent_run_id}
    return {**given, **{key: value for key, value in own.items() if value is not None}}


def _batches(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(values), size):
        yield list(values[first : first + size])


def _files_below(client: MlflowClient, run_id: str, path: str | None) -> Iterator[tuple[str, int]]:
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from _files_below(client, run_id, entry.path)
        else:
            yield entry.path, int(entry.file_size or 0)
