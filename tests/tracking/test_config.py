from pathlib import Path

import pytest

from brainage.tracking.config import TrackingConfig


@pytest.mark.parametrize(
    ("field", "value"), [("experiment", " "), ("uri", ""), ("dataset_name", " ")]
)
def test_a_value_that_names_nothing_is_refused_by_its_field(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        TrackingConfig(**{field: value})


def test_the_store_is_the_configured_one_then_the_environment_then_the_folder(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert TrackingConfig().resolved_uri(tmp_path) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    assert TrackingConfig().resolved_uri(tmp_path) == "http://tracking.example"
    assert TrackingConfig(uri="sqlite:///x.db").resolved_uri(Path()) == "sqlite:///x.db"
