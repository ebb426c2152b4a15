import shutil
import socket
from pathlib import Path

import pytest

from brainage.bundle.load import load_bundle
from brainage.errors import BundleError, TrackingError
from brainage.workflows.model_source import model_folder
from brainage.workflows.predict.run import predict
from brainage.workflows.track.register import register_run
from tests.tracking.stores import new_store
from tests.workflows.tiny import read_table


@pytest.fixture(scope="module")
def registered(holdout, tmp_path_factory):
    """A store where a run's model is ``brainage@champion``, and the summary of registering it."""
    uri = new_store(tmp_path_factory.mktemp("registry"))
    return uri, register_run(holdout.folder, name="brainage", alias="champion", uri=uri)


@pytest.fixture
def store(registered, monkeypatch) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered[0])
    return registered[0]


def run_id_in(store: str) -> str:
    from brainage.tracking.mlflow_api import MlflowClient

    return MlflowClient(store).search_runs(["1"])[0].info.run_id


def test_a_folder_is_taken_as_it_is():
    with model_folder("runs/x/model") as folder:
        assert folder == Path("runs/x/model")


@pytest.mark.parametrize("form", ["alias", "version", "run", "run and name"])
def test_a_model_of_mlflow_is_the_bundle_and_goes_with_the_context(form, store, holdout):
    run_id = run_id_in(store)
    model = {
        "alias": "models:/brainage@champion",
        "version": "models:/brainage/1",
        "run": f"runs:/{run_id}",
        "run and name": f"runs:/{run_id}/brainage",
    }[form]
    with model_folder(model) as folder:
        loaded = load_bundle(folder)
        assert loaded.model_hash == load_bundle(holdout.summary.model_dir).model_hash
    assert not folder.exists()


def test_a_prediction_by_uri_is_that_of_the_folder(store, predicted, tmp_path):
    out = tmp_path / "out.csv"
    source = predicted.source / "2"  # no scan: the row says so, with the model's hash
    predict(source, model="models:/brainage@champion", out=out, resume=False, jobs=1)
    (row,) = read_table(out)
    assert row["model_hash"] == read_table(predicted.table)[1]["model_hash"]
    assert row["status"] == "failed"


def test_mlflow_s_own_way_to_load_it_predicts_too(store, predicted):
    from brainage.tracking.mlflow_api import MlflowClient, pyfunc

    location = MlflowClient(store).get_model_version_download_uri("brainage", "1")
    import pandas as pd

    scans = [str(predicted.source / name / "T1w.nii.gz") for name in "23"]
    rows = pyfunc.load_model(location).predict(pd.DataFrame({"scan": scans}))
    assert list(rows["status"]) == ["failed", "ok"]
    expected = read_table(predicted.table)[2]["predicted_age"]
    assert f"{rows['predicted_age'].iloc[1]:.4f}" == expected


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/other@champion", r"no model is registered as 'other' in sqlite.*: brainage\Z"),
        ("models:/brainage@best", r"no alias 'best' .*its aliases: champion \(version 1\)\Z"),
        ("models:/brainage/7", r"no version 7 .*; its versions: 1\Z"),
        ("models:/brainage", r"expected models:/name@alias, models:/name/version or runs:/"),
        ("models:/brainage/Production", r"expected models:/name@alias"),
        ("runs:/" + "0" * 32, r"no such run in sqlite"),
        ("runs:/a/b/c", r"expected runs:/id or runs:/id/name"),
    ],
)
def test_what_is_not_there_is_one_line(store, model, message):
    with pytest.raises(TrackingError, match=message) as error, model_folder(model):
        pass
    assert str(error.value).startswith(f"{model}: ")
    assert "\n" not in str(error.value)


def test_a_run_that_stored_another_model_says_so(store):
    model = f"runs:/{run_id_in(store)}/other"
    with pytest.raises(TrackingError, match="has not stored a model 'other'"), model_folder(model):
        pass


def test_a_server_that_is_down_is_one_line(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    expected = r"models:/a@b: http://127\S* cannot be reached; MLFLOW_TRACKING_URI names the store"
    with pytest.raises(TrackingError, match=expected), model_folder("models:/a@b"):
        pass


def test_without_a_store_none_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(TrackingError, match=r"mlflow\.db: no MLflow store is there"),
        model_folder("models:/brainage@champion"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_model_altered_in_the_store_is_refused_as_any_other(
    registered, holdout, tmp_path, monkeypatch
):
    uri = new_store(tmp_path)
    register_run(holdout.folder, name="brainage", alias="champion", uri=uri)
    (weights,) = tmp_path.glob("mlartifacts/**/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with model_folder("models:/brainage@champion") as folder, pytest.raises(BundleError):
        load_bundle(folder)


def test_registering_twice_is_one_version(registered, holdout):
    uri, first = registered
    again = register_run(holdout.folder, name="brainage", alias="champion", uri=uri)
    assert (first.is_new, again.is_new) == (True, False)
    assert (first.version, again.version) == ("1", "1")
    assert again.model_uri == "models:/brainage@champion"


def test_an_alias_moves_to_the_version_that_takes_it(holdout, tmp_path):
    from brainage.tracking.mlflow_api import MlflowClient

    uri = new_store(tmp_path)
    register_run(holdout.folder, name="brainage", alias="champion", uri=uri)
    # the same run under another uuid is another run, with a model of its own
    other = tmp_path / "other"
    shutil.copytree(holdout.folder, other)
    events = other / "events.jsonl"
    text = events.read_text()
    uuid = text.split('"uuid": "')[1][:32]
    events.write_text(text.replace(uuid, uuid[::-1]))
    moved = register_run(other, name="brainage", alias="champion", uri=uri)
    assert (moved.version, moved.moved_from) == ("2", "1")
    version = MlflowClient(uri).get_model_version_by_alias("brainage", "champion").version
    assert str(version) == "2"
