"""Begin a run in an MLflow store, and find one again."""

from collections.abc import Iterable, Mapping

from brainage.core.types import Scalar
from brainage.tracking.mlflow_api import MlflowClient, MlflowException, Run
from brainage.tracking.mlflow_values import MAX_TAG_LENGTH, artifacts_beside, key_of, text_of

EXPERIMENT_TAGS = {
    # MLflow otherwise guesses from the runs whether it is about models or language agents.
    "mlflow.experimentKind": "custom_model_development",
    # What its list of runs and its charts begin with.
    "mlflow.experiment.primaryMetric.name": "test/mae_years",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
}
RUN_TAGS = {"mlflow.source.name": "brainage", "mlflow.source.type": "LOCAL"}
PARENT_TAG = "mlflow.parentRunId"
UUID_TAG = "brainage.uuid"


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
