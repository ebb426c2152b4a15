"""What lies outside the package: the MLflow store and the folder of cohorts. Nothing is written."""

import os
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from brainage.data.config import DATA_VARIABLE, DEFAULT_DATA_FOLDER
from brainage.reporting.counts import counted
from brainage.tracking.config import TrackingConfig
from brainage.workflows.doctor.finding import Finding, Status

GROUP = "surroundings"
SECONDS = 5.0
"""A server that does not answer within this time cannot be reached."""

_FILE = "sqlite:///"


def mlflow_store() -> list[Finding]:
    """The store that ``MLFLOW_TRACKING_URI`` names, or ``mlflow.db`` here if it is there."""
    from brainage.tracking.sharing import without_password  # noqa: PLC0415 - it imports torch

    uri = TrackingConfig().resolved_uri(Path.cwd())
    shown = without_password(uri)
    configured = bool(os.environ.get("MLFLOW_TRACKING_URI"))
    if uri.startswith(_FILE):
        path = Path(uri.removeprefix(_FILE))
        if not path.exists():
            found = f"{path}: not there yet; the first run makes it"
            writable = os.access(path.parent, os.W_OK)
            if configured and not writable:
                return [_store("problem", f"{path}: not there, and cannot be made", _ADVICE)]
            return [_store("missing", found)]
        return [_database(path)]
    if urlsplit(uri).scheme in {"http", "https"}:
        return [_server(uri, shown)]
    return [_store("ok", f"{shown}: set, and not tried: only files and servers are")]


_ADVICE = (
    "set MLFLOW_TRACKING_URI to a server or to sqlite:///path/to/mlflow.db; training goes on "
    "without, and brainage track sync sends it later"
)


def _store(status: Status, found: str, advice: str = "") -> Finding:
    return Finding(group=GROUP, name="mlflow", status=status, found=found, advice=advice)


def _database(path: Path) -> Finding:
    """Count the experiments of a file, which is opened for reading only."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            ((number,),) = connection.execute("SELECT count(*) FROM experiments").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return _store("problem", f"{path}: no MLflow store: {error}", _ADVICE)
    if not os.access(path, os.W_OK):
        return _store("problem", f"{path}: cannot be written", _ADVICE)
    return _store("ok", f"{path}: {counted(number, 'experiment')}")


def _server(uri: str, shown: str) -> Finding:
    """Ask a server how it is; one that wants a password answers, too."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SECONDS):  # noqa: S310
            return _store("ok", f"{shown}: answers")
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return _store("ok", f"{shown}: answers with status {error.code}")
        return _store("problem", f"{shown}: answers with status {error.code}", _ADVICE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return _store("problem", f"{shown}: cannot be reached: {reason}", _ADVICE)


def data_folder() -> list[Finding]:
    """The folder that ``$BRAINAGE_DATA`` in a configuration stands for."""
    named = os.environ.get(DATA_VARIABLE)
    path = Path(named or DEFAULT_DATA_FOLDER).expanduser()
    if path.is_dir():
        how = DATA_VARIABLE if named else f"{DATA_VARIABLE} is not set; the default"
        return [_data("ok", f"{path} ({how})")]
    if named:
        advice = f"set {DATA_VARIABLE} to the folder of the cohorts, or unset it"
        return [_data("problem", f"{path}: no such folder", advice)]
    found = f"{DATA_VARIABLE} is not set; only configurations of the open cohort need it"
    return [_data("missing", found, f"export {DATA_VARIABLE}=/path/to/cohorts")]


def _data(status: Status, found: str, advice: str = "") -> Finding:
    return Finding(group=GROUP, name="data folder", status=status, found=found, advice=advice)
