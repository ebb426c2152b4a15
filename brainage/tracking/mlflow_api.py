"""What this package uses of MLflow: the one place that imports it, after its environment is set."""

import logging

from brainage.environment import prepare_environment

prepare_environment()  # MLflow reads its environment while it is imported

from mlflow import MlflowClient, pyfunc  # noqa: E402
from mlflow.artifacts import download_artifacts  # noqa: E402
from mlflow.data.code_dataset_source import CodeDatasetSource  # noqa: E402
from mlflow.entities import (  # noqa: E402
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor  # noqa: E402
from mlflow.types import ColSpec, DataType, Schema  # noqa: E402
from mlflow.types.schema import AnyType, Array  # noqa: E402

# Their notes on each retry say what the one warning of a failed attempt says, in more lines.
for name in ("urllib3.connectionpool", "mlflow.system_metrics.system_metrics_monitor"):
    logging.getLogger(name).setLevel(logging.ERROR)

__all__ = [
    "AnyType",
    "Array",
    "CodeDatasetSource",
    "ColSpec",
    "DataType",
    "Dataset",
    "DatasetInput",
    "InputTag",
    "LoggedModel",
    "LoggedModelOutput",
    "LoggedModelStatus",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "ModelVersion",
    "Param",
    "Run",
    "RunTag",
    "Schema",
    "SystemMetricsMonitor",
    "download_artifacts",
    "pyfunc",
]
