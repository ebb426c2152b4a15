"""Where a model comes from: a folder of this machine, or a store of MLflow.

Every command that takes ``--model`` resolves it here: ``predict``, ``evaluate`` and what follows.
"""

import importlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.errors import TrackingError
from brainage.tracking.config import TrackingConfig

SCHEMES = ("models:/", "runs:/")

_log = logging.getLogger(__name__)


@contextmanager
def model_folder(model: str | None) -> Iterator[Path]:
    """The folder of a model bundle, there as long as the context is.

    A model of MLflow is downloaded into a temporary folder first. Nothing is trusted because of
    where it comes from: ``load_bundle`` checks it as it checks any other.

    Args:
        model: a folder, or ``models:/name@alias``, ``models:/name/version`` or ``runs:/id/name``
            of the store in MLFLOW_TRACKING_URI, which is ``mlflow.db`` in the working folder
            unless it is set. None is the demonstration model that comes with the package.

    Yields:
        The folder. It is the user's own, or goes with the context.

    Raises:
        TrackingError: if the store cannot be reached or has no such model.
    """
    if model is None:
        yield DEMONSTRATION
        return
    if not model.startswith(SCHEMES):
        yield Path(model)
        return
    store = existing_store()
    # MLflow takes seconds to import.
    registry = importlib.import_module("brainage.tracking.mlflow_registry")
    with tempfile.TemporaryDirectory(prefix="brainage-") as temporary:
        folder: Path = registry.download_model(model, store, Path(temporary))
        _log.info("%s: downloaded from MLflow", model)
        yield folder


def existing_store(uri: str | None = None) -> str:
    """The MLflow store to read from.

    Args:
        uri: one that was named; None takes MLFLOW_TRACKING_URI, or ``mlflow.db`` here.

    Raises:
        TrackingError: if it is a file that is not there; MLflow would make an empty one.
    """
    store = uri or TrackingConfig().resolved_uri(Path.cwd())
    file = store.removeprefix("sqlite:///")
    if file != store and not Path(file).is_file():
        raise TrackingError(
            f"{file}: no MLflow store is there; set MLFLOW_TRACKING_URI to the server or to "
            "sqlite:///path/to/mlflow.db"
        )
    return store
