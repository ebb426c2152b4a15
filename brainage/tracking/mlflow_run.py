"""One run in an MLflow store, written piece by piece, now or later.

Everything may be written again: what is there already is not added twice. Exceptions of MLflow pass
through; the listener of a run that is going on and the later sync answer them differently.
"""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
    key_of,
    text_of,
)
from brainage.tracking.sharing import Sharing

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
        inputs = self._client.get_run(self.id).inputs
        found = inputs.dataset_inputs if inputs else []
        return {(entry.dataset.name, entry.dataset.digest) for entry in found}

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


def _batches(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(values), size):
        yield list(values[first : first + size])


def _files_below(client: MlflowClient, run_id: str, path: str | None) -> Iterator[tuple[str, int]]:
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from _files_below(client, run_id, entry.path)
        else:
            yield entry.path, int(entry.file_size or 0)
