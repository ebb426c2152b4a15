"""``brainage track register``: a run's model under a name and an alias in MLflow's registry."""

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.errors import RunFolderError
from brainage.tracking.sharing import without_password
from brainage.workflows.track.sync import held_records, store_of


@dataclass(frozen=True, kw_only=True)
class RegisterSummary:
    """Result of ``brainage track register``.

    ``version`` is of the registered model ``name``; ``is_new`` tells whether it was made just now.
    ``moved_from`` is the version that had the alias before.
    """

    name: str
    version: str
    alias: str | None
    is_new: bool
    moved_from: str | None
    model_uri: str
    store: str

    @property
    def exit_code(self) -> int:
        """0."""
        return 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each."""
        how = "registered" if self.is_new else "was registered before"
        lines = [f"model: {self.name} version {self.version}, {how}"]
        if self.alias is not None:
            before = f", before: version {self.moved_from}" if self.moved_from else ""
            lines.append(f"alias: {self.alias} is version {self.version}{before}")
        return [*lines, f"use: --model {self.model_uri}", f"store: {self.store}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def register_run(run: Path, *, name: str, alias: str | None, uri: str | None) -> RegisterSummary:
    """Send what is missing of a run, and register its model.

    Args:
        run: the folder of a finished run.
        name: of the registered model.
        alias: what this version is called from now on; None leaves aliases as they are.
        uri: the store; None takes what the run was configured with.

    Raises:
        RunFolderError: if it is no run, is still going on, or has no model.
        TrackingError: if the store fails.
    """
    sync = importlib.import_module("brainage.tracking.mlflow_sync")
    registry = importlib.import_module("brainage.tracking.mlflow_registry")
    with held_records(run) as records:
        record = records[0]
        model = record.last("model")
        if not model:
            raise RunFolderError(f"{run}: no model to register: the run did not come so far")
        store = store_of(record, uri)
        sent = [sync.sync_record(entry, store) for entry in records]
        version = registry.register_run_model(
            store, sent[0].run_id, model_hash=str(model["model_hash"]), name=name, alias=alias
        )
    known_as = f"{name}@{alias}" if alias else f"{name}/{version.version}"
    return RegisterSummary(
        name=name,
        version=version.version,
        alias=alias,
        is_new=version.is_new,
        moved_from=version.moved_from,
        model_uri=f"models:/{known_as}",
        store=without_password(store),
    )
