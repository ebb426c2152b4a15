"""What MLflow's scoring server answers for a folder model: rows, or a 4xx that says why."""

import json

import pytest

from brainage.tracking.mlflow_api import MlflowException
from tests.tracking.logged import log_model

# MLflow's own, of modules that it imports to serve.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A function that posts a body, as the server's own code takes it: status and answer."""
    from mlflow import pyfunc
    from mlflow.pyfunc.scoring_server import invocations

    folder = tmp_path_factory.mktemp("served")
    (folder / "model").mkdir()
    (folder / "model" / "age.txt").write_text("40")
    logged = log_model(folder, folder / "model", "tests.tracking.loaders:load_constant")
    model = pyfunc.load_model(logged.location)

    def post(body, content_type="application/json"):
        try:
            answer = invocations(body, content_type, model, model.metadata.get_input_schema())
        except MlflowException as error:
            return error.get_http_status_code(), error.message
        return answer.status, answer.response

    return post


@pytest.mark.parametrize(
    "request_of",
    [
        lambda rows: {"dataframe_records": rows},
        lambda rows: {"inputs": rows},
        lambda rows: {
            "dataframe_split": {"columns": ["scan"], "data": [[row["scan"]] for row in rows]}
        },
    ],
)
def test_rows_come_back_in_order_and_as_json(served, request_of):
    body = json.dumps(request_of([{"scan": "/scans/ab.nii"}, {"scan": "c.png"}]))
    status, answer = served(body)
    rows = json.loads(answer, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert status == 200
    assert [row["predicted_age"] for row in rows["predictions"]] == [42.0, None]
    assert [row["status"] for row in rows["predictions"]] == ["ok", "failed"]


def test_cells_that_are_empty_in_one_row_are_absent_there(served):
    rows = [{"scan": "ab.nii"}, {"voxels": [[[1]]]}]
    status, answer = served(json.dumps({"dataframe_records": rows}))
    assert (status, "expected a scan, got ['voxels']" in answer) == (400, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"dataframe', "valid JSON"),
        ("", "valid JSON"),
        ("[1, 2]", "JSON dictionary"),
        ('{"scan": "a.nii"}', "input fields"),
        ('{"dataframe_records": 5}', "list of records"),
        ('{"dataframe_split": {"columns": ["scan"], "data": [["a", "b"]]}}', "1 columns passed"),
        ('{"dataframe_records": [{"image": "QQ=="}]}', "expected a scan, got"),
    ],
)
def test_a_wrong_request_is_the_client_s_and_says_why(served, body, reason):
    status, answer = served(body)
    assert (status, reason in answer) == (400, True), answer


def test_another_content_type_is_refused(served):
    assert served("scan", "text/plain")[0] == 415
