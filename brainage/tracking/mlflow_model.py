"""Store a finished model folder as a logged model of an MLflow run."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from brainage.tracking.mlflow_api import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    MlflowClient,
    Model,
    ModelSignature,
    Schema,
    pyfunc,
)
from brainage.tracking.mlflow_values import metrics_at

MODEL_CODE = Path(__file__).with_name("folder_model.py")
MODEL_FOLDER = "bundle"
HASH_TAG = "model_hash"
INPUTS = ("scan", "voxels", "affine", "image", "age_years")
"""What a request may hold. The model itself says what is wrong with one, better than types do."""
OUTPUTS: dict[str, DataType | Array] = {
    "scan": DataType.string,
    "subject": DataType.string,
    "session": DataType.string,
    "status": DataType.string,
    "stage": DataType.string,
    "reason": DataType.string,
    "qc_flags": Array(DataType.string),
    "age_years": DataType.double,
    "predicted_age": DataType.double,
    "predicted_age_corrected": DataType.double,
    "brain_age_gap": DataType.double,
    "brain_age_gap_corrected": DataType.double,
    "interval_low": DataType.double,
    "interval_high": DataType.double,
    "coverage": DataType.double,
    "age_in_training_range": DataType.boolean,
    "model_hash": DataType.string,
    "preprocessing_hash": DataType.string,
    "seconds": DataType.double,
    "spread_workers": DataType.double,
    "spread_blocks": DataType.double,
    "spread_networks": DataType.double,
    "spread_views": DataType.double,
    "training_distance": DataType.double,
    "scan_sha256": DataType.string,
}
"""A row of predictions.csv."""
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(AnyType(), name, required=False)  # type: ignore[no-untyped-call]
            for name in INPUTS
        ]
    ),
    outputs=Schema([ColSpec(kind, name, required=False) for name, kind in OUTPUTS.items()]),
)
# Nobody's scan: names as BIDS has them.
INPUT_EXAMPLE = pd.DataFrame({"scan": ["sub-01/anat/sub-01_T1w.nii.gz"]})


def log_folder_model(
    client: MlflowClient,
    *,
    experiment_id: str,
    run_id: str,
    model_folder: Path,
    name: str,
    loader: str,
    model_hash: str,
    metrics: Mapping[str, float],
    step: int,
) -> bool:
    """Store the folder with the code that loads it, unless the run has that model.

    Done piece by piece with the client because ``pyfunc.log_model`` needs MLflow's process-wide
    active run and tracking URI. The model becomes ready at the end; what an interrupted upload
    left is removed by the next.

    Args:
        client: speaks to the store.
        experiment_id: of the run.
        run_id: the run.
        model_folder: the finished model.
        name: name of the model in MLflow.
        loader: ``package.module:function``; see ``tracking.folder_model``. It is called when the
            model is loaded, not now.
        model_hash: tells models of one run apart.
        metrics: the results to show beside the model.
        step: the epoch the model comes from.

    Returns:
        Whether it had been missing.
    """
    known = models_of_run(client, experiment_id, run_id)
    same = [model for model in known if model.tags.get(HASH_TAG) == model_hash]
    ready = [model for model in same if model.status == LoggedModelStatus.READY]
    for model in same:
        if model not in ready:
            client.delete_logged_model(model.model_id)
    model_id = ready[0].model_id if ready else None
    if model_id is None:
        logged = client.create_logged_model(
            experiment_id,
            name=name,
            source_run_id=run_id,
            model_type="brain age",
            tags={HASH_TAG: model_hash},
        )
        model_id = str(logged.model_id)
        _store(client, logged, run_id, model_folder, loader)
        # A result has no epoch; MLflow shows these numbers with the run, too, where they are so.
        batch = metrics_at(metrics, 0, run_id=run_id, model_id=model_id)
        if batch:
            client.log_batch(run_id, metrics=batch)
    outputs = client.get_run(run_id).outputs
    if model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step)])
    return not ready


def models_of_run(client: MlflowClient, experiment_id: str, run_id: str) -> list[LoggedModel]:
    """The models that a run has stored, ready or not."""
    return list(
        client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'", max_results=100)
    )


def _store(
    client: MlflowClient, logged: LoggedModel, run_id: str, model_folder: Path, loader: str
) -> None:
    """Upload the model and call it ready."""
    description = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_id=logged.model_id,
        model_uuid=logged.model_id,
    )
    with tempfile.TemporaryDirectory(prefix="brainage-") as temporary:
        # MLflow notes where folder and code came from; from here, that tells nothing.
        bundle = Path(temporary) / MODEL_FOLDER
        shutil.copytree(model_folder, bundle)
        code = shutil.copy(MODEL_CODE, temporary)
        packed = Path(temporary) / "model"
        pyfunc.save_model(
            str(packed),
            python_model=str(code),
            artifacts={"folder": str(bundle)},
            model_config={"loader": loader},
            pip_requirements=[loader.partition(".")[0]],
            signature=SIGNATURE,
            input_example=INPUT_EXAMPLE,
            mlflow_model=description,
        )
        client.log_model_artifacts(logged.model_id, str(packed))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
