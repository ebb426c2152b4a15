"""What a run reports, in the form and within the limits of MLflow."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from brainage.core.types import Scalar
from brainage.tracking.mlflow_api import Metric
from brainage.tracking.sharing import without_password

# MLflow's limits on one value and on one batch.
MAX_PARAMETER_LENGTH = 6000
MAX_KEY_LENGTH = 250
MAX_REASON_LENGTH = 200
MAX_TAG_LENGTH = 5000
MAX_PARAMETERS_PER_BATCH = 100
MAX_METRICS_PER_BATCH = 1000


def metrics_at(
    values: Mapping[str, float],
    step: int,
    time_ms: int | None = None,
    *,
    run_id: str | None = None,
    model_id: str | None = None,
) -> list[Metric]:
    """The numbers with one time, by default the present; of a model when its id is given."""
    time_ms = int(time.time() * 1000) if time_ms is None else time_ms
    return [
        Metric(key_of(name), float(value), time_ms, step, model_id=model_id, run_id=run_id)
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


def is_unreachable(error: BaseException) -> bool:
    """Whether a failure of MLflow began with a server that does not answer."""
    cause: BaseException | None = error
    while cause is not None:
        # Failures of a connection are OSErrors too, and have no file.
        if isinstance(cause, OSError) and cause.filename is None:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def one_line(message: object) -> str:
    """What MLflow says in its first line, without passwords and not at length."""
    first = (str(message).strip().splitlines() or [""])[0]
    return without_password(first)[:MAX_REASON_LENGTH]
