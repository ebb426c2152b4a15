"""The model registry: give a run's model a name and an alias, and find models by URI again."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brainage.errors import TrackingError
from brainage.tracking.mlflow_api import (
    LoggedModel,
    LoggedModelStatus,
    MlflowClient,
    MlflowException,
    ModelVersion,
    Run,
    download_artifacts,
)
from brainage.tracking.mlflow_model import HASH_TAG, models_of_run
from brainage.tracking.mlflow_values import is_unreachable, one_line

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)\Z")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)\Z")
_RUN = re.compile(r"runs:/(?P<run>[^/]+)(?:/(?P<name>[^/]+))?\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}\Z")
_ALIAS_NAME = re.compile(r"[A-Za-z0-9_-]{1,127}\Z")
_RESERVED = re.compile(r"(latest|v\d+)\Z", re.IGNORECASE)
_MISSING = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model.

    ``is_new`` tells whether it was made just now; ``moved_from`` is the version that the alias
    named before, None if none or this one.
    """

    name: str
    version: str
    alias: str | None
    is_new: bool
    moved_from: str | None


def register_run_model(
    uri: str, run_id: str, *, model_hash: str, name: str, alias: str | None
) -> RegisteredVersion:
    """Make the model of a run a version of a registered model; twice gives the same version.

    Args:
        uri: the store.
        run_id: the run in the store.
        model_hash: which of its models.
        name: of the registered model, made when there is none.
        alias: what the version is called from now on, in place of any other; None leaves aliases.

    Raises:
        TrackingError: if name or alias cannot be one, the store fails, or the run has no such
            model there.
    """
    _check_names(name, alias)
    with _explained(f"model '{name}'", uri):
        client = MlflowClient(uri)
        run = client.get_run(run_id)
        model = _ready_model(client, run, model_hash)
        if model is None:
            raise TrackingError(f"run {run_id}: {one_line(uri)} does not hold its model")
        _ensure_name(client, name)
        found = [
            version
            for version in client.search_model_versions(f"name = '{name}'")
            if version.run_id == run_id and version.tags.get(HASH_TAG) == model_hash
        ]
        version = found[0] if found else _create_version(client, uri, name, model, run)
        before = client.get_registered_model(name).aliases.get(alias) if alias else None
        if alias is not None and str(before) != str(version.version):
            client.set_registered_model_alias(name, alias, str(version.version))
    same = before is None or str(before) == str(version.version)
    return RegisteredVersion(
        name, str(version.version), alias, not found, None if same else str(before)
    )


def download_model(model: str, uri: str, target: Path) -> Path:
    """Download the model folder that a URI names.

    Args:
        model: ``models:/name@alias``, ``models:/name/version`` or ``runs:/run id/model name``.
        uri: the store that knows it.
        target: an existing folder to put it into.

    Returns:
        The model's own folder below ``target``.

    Raises:
        TrackingError: if the URI is of another form, the store cannot be reached or has no such
            model, or it is not a model of this package.
    """
    with _explained(model, uri):
        client = MlflowClient(uri)
        if "runs:/" in model:
            location = _location_of_run(client, uri, model)
        else:
            location = _location_of_version(client, uri, model)
        got = download_artifacts(
            artifact_uri=f"{location.rstrip('/')}/artifacts",
            dst_path=str(target),
            tracking_uri=uri,
        )
        folders = sorted(entry for entry in Path(got).iterdir() if entry.is_dir())
    if len(folders) != 1:
        raise TrackingError(f"{model}: not a model that brainage stored in {one_line(uri)}")
    return folders[0]


def _location_of_version(client: MlflowClient, uri: str, model: str) -> str:
    """Where the files of a registered version lie."""
    match = _ALIAS.match(model) or _VERSION.match(model)
    if match is None:
        raise TrackingError(
            f"{model}: expected models:/name@alias, models:/name/version or runs:/id/name"
        )
    name = match["name"]
    versions = _versions(client, uri, name, model)
    given = match.groupdict()
    if "alias" in given:
        aliases = client.get_registered_model(name).aliases
        version = aliases.get(given["alias"])
        if version is None:
            known = ", ".join(f"{a} (version {v})" for a, v in sorted(aliases.items())) or "none"
            raise TrackingError(
                f"{model}: model '{name}' has no alias '{given['alias']}' in {one_line(uri)}; "
                f"its aliases: {known}"
            )
    else:
        version = given["version"]
    if str(version) not in versions:
        raise TrackingError(
            f"{model}: model '{name}' has no version {version} in {one_line(uri)}; "
            f"its versions: {', '.join(versions) or 'none'}"
        )
    location = str(client.get_model_version_download_uri(name, str(version)))
    if location.startswith("models:/m-"):
        model_id = location.removeprefix("models:/")
        return str(client.get_logged_model(model_id).artifact_location)
    return location


def _versions(client: MlflowClient, uri: str, name: str, model: str) -> list[str]:
    """The versions of a registered model, lowest first."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != _MISSING:
            raise
        known = sorted(entry.name for entry in client.search_registered_models(max_results=20))
        raise TrackingError(
            f"{model}: no model is registered as '{name}' in {one_line(uri)}; "
            f"registered: {', '.join(known) or 'none'}"
        ) from error
    versions = [str(entry.version) for entry in client.search_model_versions(f"name = '{name}'")]
    return sorted(versions, key=int)


def _location_of_run(client: MlflowClient, uri: str, model: str) -> str:
    """Where the files of the model that a run has logged lie."""
    match = _RUN.match(model)
    if match is None:
        raise TrackingError(f"{model}: expected runs:/id or runs:/id/name of its model")
    try:
        run = client.get_run(match["run"])
    except MlflowException as error:
        if error.error_code not in {_MISSING, "INVALID_PARAMETER_VALUE"}:
            raise
        raise TrackingError(f"{model}: no such run in {one_line(uri)}") from error
    found = [
        entry
        for entry in models_of_run(client, run.info.experiment_id, match["run"])
        if entry.status == LoggedModelStatus.READY and match["name"] in {None, entry.name}
    ]
    if not found:
        wanted = f"a model '{match['name']}'" if match["name"] else "a model"
        raise TrackingError(f"{model}: the run has not stored {wanted} in {one_line(uri)}")
    newest = max(found, key=lambda entry: entry.creation_timestamp)
    return str(newest.artifact_location)


def _ready_model(client: MlflowClient, run: Run, model_hash: str) -> LoggedModel | None:
    for model in models_of_run(client, run.info.experiment_id, run.info.run_id):
        if model.status == LoggedModelStatus.READY and model.tags.get(HASH_TAG) == model_hash:
            return model
    return None


def _check_names(name: str, alias: str | None) -> None:
    """Refuse what MLflow would refuse when half of the work is done."""
    if not _NAME.match(name):
        raise TrackingError(
            f"--name: expected letters, digits, spaces and . _ - (a letter or digit first), got "
            f"'{name}'"
        )
    if alias is not None and (not _ALIAS_NAME.match(alias) or _RESERVED.match(alias)):
        raise TrackingError(
            f"--alias: expected letters, digits, _ and -, and neither 'latest' nor a version like "
            f"'v1', got '{alias}'"
        )


def _ensure_name(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _create_version(
    client: MlflowClient, uri: str, name: str, model: LoggedModel, run: Run
) -> ModelVersion:
    # A server looks the model up by its id. A local store would do so in MLflow's process-wide
    # store, which may be another one, so it is told the place.
    by_id = uri.startswith("http")
    tags = {HASH_TAG: model.tags[HASH_TAG]}
    tags |= {key: run.data.tags[key] for key in ("objective", "backbone") if key in run.data.tags}
    return client.create_model_version(
        name,
        source=f"models:/{model.model_id}" if by_id else model.artifact_location,
        run_id=run.info.run_id,
        model_id=model.model_id,
        tags=tags,
        await_creation_for=0,
    )


@contextmanager
def _explained(what: str, uri: str) -> Iterator[None]:
    """Failures of the store as one line of ours."""
    try:
        with warnings.catch_warnings():
            # MLflow's warnings are about itself.
            warnings.simplefilter("ignore")
            yield
    except (MlflowException, OSError) as error:
        problem = f"{one_line(uri)} cannot be reached" if is_unreachable(error) else one_line(error)
        hint = "; MLFLOW_TRACKING_URI names the store" if is_unreachable(error) else ""
        raise TrackingError(f"{what}: {problem}{hint}") from error
