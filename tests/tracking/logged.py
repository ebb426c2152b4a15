"""A folder model that is logged with MLflow, in a store of its own."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from brainage.tracking.mlflow_api import MlflowClient
from brainage.tracking.mlflow_model import log_folder_model
from tests.tracking.stores import new_store


@dataclass(frozen=True)
class LoggedModel:
    """Where a model was logged, by which run."""

    client: MlflowClient
    run_id: str
    location: str


def log_model(store: Path, model_folder: Path, loader: str) -> LoggedModel:
    """Log a folder as a model of a new run.

    Args:
        store: folder of the store, which is made.
        model_folder: the model.
        loader: what loads it where it is served, as ``module:function``.
    """
    client = MlflowClient(new_store(store))
    experiment = client.create_experiment("x", artifact_location=(store / "files").as_uri())
    run_id = client.create_run(experiment).info.run_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's are about itself
        log_folder_model(
            client,
            experiment_id=experiment,
            run_id=run_id,
            model_folder=model_folder,
            name="brainage",
            loader=loader,
            model_hash="c0ffee",
            metrics={},
            step=1,
        )
    (output,) = client.get_run(run_id).outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    return LoggedModel(client, run_id, location)
