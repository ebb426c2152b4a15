"""Store a finished model folder as a logged model of an MLflow run."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model

from brainage.tracking.mlflow_values import metrics_now

MODEL_CODE = Path(__file__).with_name("folder_model.py")


def log_folder_model(
    client: MlflowClient,
    *,
    experiment_id: str,
    run_id: str,
    model_folder: Path,
    name: str,
    loader: str,
    requirements: Sequence[str],
    metrics: Mapping[str, float],
    step: int,
) -> str:
    """Store the folder with the code that loads it; arguments as of ``MlflowRecorder.log_model``.

    Done piece by piece with the client because ``pyfunc.log_model`` needs MLflow's process-wide
    active run and tracking URI.

    Returns:
        The id of the logged model.
    """
    logged = client.create_logged_model(
        experiment_id, name=name, source_run_id=run_id, model_type="brain age"
    )
    description = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_id=logged.model_id,
        model_uuid=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as temporary:
        packed = Path(temporary) / "model"
        pyfunc.save_model(
            str(packed),
            python_model=str(MODEL_CODE),
            artifacts={"folder": str(model_folder)},
            model_config={"loader": loader},
            pip_requirements=list(requirements),
            mlflow_model=description,
        )
        client.log_model_artifacts(logged.model_id, str(packed))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
    if metrics:
        batch = metrics_now(metrics, step, run_id=run_id, model_id=logged.model_id)
        client.log_batch(run_id, metrics=batch)
    return str(logged.model_id)
