"""A model that computes something else here is a problem; one that cannot be loaded, a refusal."""

import json
import shutil

import pytest

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.files import model_hash
from brainage.workflows.doctor.model import model
from brainage.workflows.doctor.probe import ModelRefused


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """Of a model that was saved with another torch and once gave its golden scan another age."""
    folder = tmp_path_factory.mktemp("doctor") / "model"
    shutil.copytree(DEMONSTRATION, folder)
    described = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(described.replace("torch: 2.", "torch: 1."))
    expected = json.loads((folder / "golden/expected.json").read_text())
    expected["predicted_age_years"] += 1.0
    expected["model_hash"] = model_hash(folder)
    (folder / "golden/expected.json").write_text(json.dumps(expected))
    return {each.name: each for each in model(str(folder))}


def test_another_golden_age_is_a_problem_with_both_ages(findings):
    golden = findings["golden scan"]
    assert golden.status == "problem"
    assert golden.values["agrees"] is False
    assert golden.values["difference_years"] == pytest.approx(-1.0, abs=0.01)
    assert "difference -1.0" in golden.found
    assert golden.advice.startswith("do not use the model here")


def test_other_versions_are_named_and_how_torch_was_built_is_no_difference(findings):
    differing = findings["versions"].values["differing"]
    assert list(differing) == ["torch"]
    assert differing["torch"]["saved_with"].startswith("1.")
    assert "torch" in findings["versions"].found


def test_it_says_what_the_model_is(findings):
    values = {**findings["bundle"].values, **findings["training"].values}
    assert (values["objective"], values["num_blocks"]) == ("lfnn_l", 4)
    assert values["grid"] == {"spacing_mm": 4.0, "shape_XYZ": [40, 48, 40]}
    assert values["training_scans"] == 189
    assert values["held_out_mae_years"] == pytest.approx(3.59, abs=0.01)
    assert values["model_hash"] in findings["bundle"].found


def test_a_model_that_was_named_and_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(ModelRefused, match="no such model folder"):
        model(str(tmp_path / "none"))
