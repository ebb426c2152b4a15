"""``brainage export``: a model is exported only if it says what the model says."""

import json

import pytest

from brainage.cli import run
from brainage.errors import BundleError
from brainage.export.formats import FORMATS
from brainage.export.graph import AgeGraph
from brainage.workflows.export.place import check_place
from brainage.workflows.export.run import export_graph


@pytest.mark.parametrize("name", ["torchscript", "monai-bundle"])
def test_an_export_is_compared_and_put_in_place(model, graph, volumes, tmp_path, name):
    chosen = FORMATS[name]
    place = check_place(tmp_path / "out", is_folder=chosen.is_folder, force=False)
    difference = export_graph(model, graph, chosen, place, volumes[0, 0].numpy())
    assert difference < 1e-4
    assert place.preprocessing.read_text().startswith("# How a raw T1-weighted scan")
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "out.preprocessing.yaml"}


def test_a_model_that_says_something_else_is_not_exported(model, volumes, tmp_path):
    wrong = AgeGraph(model)
    last = wrong.networks[0].blocks[-1].output.layers[-1]
    last.bias[0] += 0.01
    place = check_place(tmp_path / "model.ts", is_folder=False, force=False)
    with pytest.raises(BundleError, match=r"model\.ts: not exported: .*differ .*more than 1e-04"):
        export_graph(model, wrong, FORMATS["torchscript"], place, volumes[0, 0].numpy())
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports_the_model_of_a_run(holdout, tmp_path, capsys):
    out = tmp_path / "model.ts"
    model = str(holdout.summary.model_dir)
    words = ["export", "--model", model, "--format", "torchscript", "--out", str(out), "--json"]
    assert run([*words, "--answer", "block2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["blocks"], told["networks"]) == ("block2", [1, 2], 1)
    assert told["difference_years"] < 1e-4
    assert out.is_file()
    assert run(words) == 2
    assert f"error: {out}: exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--format": "pickle"}, "--format: expected one of onnx, torchscript, monai-bundle, got"),
        ({"--model": "gone"}, "gone: no such model folder"),
        ({"--answer": "block9"}, "answer: expected one of last,"),
    ],
)
def test_wrong_input_is_one_line(holdout, tmp_path, capsys, changes, message):
    options = {
        "--model": str(holdout.summary.model_dir),
        "--format": "torchscript",
        "--out": str(tmp_path / "model.ts"),
        **changes,
    }
    assert run(["export", *(word for pair in options.items() for word in pair)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []
