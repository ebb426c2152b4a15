"""ONNX files."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import brainage
from brainage.errors import BundleError, MissingPackage
from brainage.export import onnx_file
from brainage.export.graph import AgeGraph
from brainage.export.onnx_file import check_packages, open_onnx, write_onnx


@pytest.fixture(scope="module")
def one(model):
    """Of one network, which is enough to translate."""
    return AgeGraph(replace(model, members=model.members[:1]))


@pytest.fixture(scope="module")
def written(one, belongings, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(one, path, *belongings)
    return path


def test_onnxruntime_answers_for_any_number_of_scans(one, written, volumes):
    ask = open_onnx(written)
    for batch in (volumes, volumes[:1]):
        for got, expected in zip(ask(batch), one(batch), strict=True):
            torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_the_contract_and_the_steps_are_in_the_file(model, written, belongings):
    stored = {entry.key: entry.value for entry in onnx.load(written).metadata_props}
    assert stored["model_hash"] == model.model_hash
    assert stored["age_unit"] == "years"
    assert stored["training_age_range_years"] == "[20.0, 68.0]"
    assert stored["preprocessing.yaml"] == belongings[1]


def test_no_path_of_this_machine_is_in_the_file(written):
    assert str(Path(brainage.__file__).parent).encode() not in written.read_bytes()


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, missing):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        onnx_file, "find_spec", lambda name: None if name == missing else found(name)
    )
    with pytest.raises(MissingPackage, match=rf"'{missing}'.*brainage\[export\]"):
        check_packages()


def test_what_onnx_cannot_say_is_refused_in_one_line(graph, belongings, tmp_path):
    class Unknown(nn.Module):
        def forward(self, volume):
            sample = torch.linalg.svdvals(volume.flatten(2)[:, :, :4].expand(-1, 4, -1)).sum(1)
            return sample, sample[:, None]

    unknown = Unknown().eval()
    unknown.example = graph.example
    with pytest.raises(BundleError, match="cannot be translated to ONNX") as refused:
        write_onnx(unknown, tmp_path / "model.onnx", *belongings)
    assert "\n" not in str(refused.value)
