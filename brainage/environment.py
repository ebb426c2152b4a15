"""What other packages read from the environment, set before they are imported.

A variable that the user has set is left alone. Standard library only.
"""

import os

SETTINGS = {
    # Nothing leaves the machine except to the tracking server the user named.
    "ORT_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # A dead server costs a run seconds: MLflow's own values are 7 retries of 120 seconds.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    # The terminal belongs to the run's progress.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # A logged model states its requirements; a lock file in the working folder is not asked.
    "MLFLOW_UV_AUTO_DETECT": "false",
}
PATIENT_SETTINGS = {
    # Where nothing waits but the user, a server may take its time.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def prepare_environment(*, patient: bool = False) -> None:
    """Set what is not set.

    Args:
        patient: wait longer for a server; for commands that do nothing but speak with it.
    """
    for name, value in ({**SETTINGS, **PATIENT_SETTINGS} if patient else SETTINGS).items():
        os.environ.setdefault(name, value)
