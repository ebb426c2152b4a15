"""What a run reports, in the form and within the limits of MLflow."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric

from brainage.core.types import Scalar

# MLflow's limits on one value and on one batch of parameters.
MAX_PARAMETER_LENGTH = 6000
MAX_KEY_LENGTH = 250
MAX_TAG_LENGTH = 5000
MAX_PARAMETERS_PER_BATCH = 100


def metrics_now(
    values: Mapping[str, float],
    step: int,
    *,
    run_id: str | None = None,
    model_id: str | None = None,
) -> list[Metric]:
    """The numbers as one batch with the present time; of a model when its id is given."""
    now = int(time.time() * 1000)
    return [
        Metric(key_of(name), float(value), now, step, model_id=model_id, run_id=run_id)
        for name, value in values.items()
    ]


def artifacts_beside(uri: str) -> str | None:
    """Where a new experiment keeps its files: ``mlartifacts`` beside a SQLite store.

    None for a server, which decides that itself.
    """
    path = uri.removeprefix("sqlite:///")
    if path == uri:
        return None
    return (Path(path).resolve().parent / "mlartifacts").as_uri()


def key_of(name: str) -> str:
    """The name with what MLflow does not allow in a key replaced."""
    return re.sub(r"[^\w\-./: ]", "_", name)[:MAX_KEY_LENGTH]


def text_of(value: Scalar) -> str:
    """The value as it stands in the configuration file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def without_password(text: str) -> str:
    """The text with the user and password of every address in it left out."""
    return re.sub(r"//[^/@\s]*@", "//", text)
