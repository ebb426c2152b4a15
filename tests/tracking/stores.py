"""Empty MLflow stores for tests: the tables take seconds, so they are made once and copied."""

import atexit
import functools
import shutil
import tempfile
import warnings
from pathlib import Path

from brainage.tracking.mlflow_api import MlflowClient


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="brainage-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and SQLAlchemy's are about each other
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def new_store(folder: Path) -> str:
    """The URI of an empty store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_template(), folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"
