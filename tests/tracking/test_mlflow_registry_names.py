"""Names that a registry refuses are refused before anything is in it."""

import pytest

from brainage.errors import TrackingError
from brainage.tracking.mlflow_registry import register_run_model


@pytest.mark.parametrize(
    ("name", "alias", "message"),
    [
        ("a'b", "best", "--name: expected letters"),
        ("", None, "--name: expected letters"),
        ("ok", "v1", "--alias: expected letters"),
        ("ok", "latest", "--alias: expected letters"),
        ("ok", "a b", "--alias: expected letters"),
    ],
)
def test_a_bad_name_makes_nothing(tmp_path, name, alias, message):
    store = tmp_path / "mlflow.db"
    with pytest.raises(TrackingError, match=message):
        register_run_model(f"sqlite:///{store}", "r", model_hash="h", name=name, alias=alias)
    assert not store.exists()
