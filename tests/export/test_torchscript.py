"""TorchScript files."""

import json
import zipfile
from pathlib import Path

import pytest
import torch

import brainage
from brainage.config.preprocess import load_preprocess_config
from brainage.export.torchscript import open_torchscript, write_torchscript


@pytest.fixture(scope="module")
def written(graph, belongings, tmp_path_factory):
    path = tmp_path_factory.mktemp("torchscript") / "model.ts"
    write_torchscript(graph, graph.example(2), path, *belongings)
    return path


def test_the_file_answers_for_other_numbers_of_scans(graph, written, volumes):
    ask = open_torchscript(written)
    for batch in (volumes, volumes[:1]):
        for got, expected in zip(ask(batch), graph(batch), strict=True):
            torch.testing.assert_close(got, expected, atol=2e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_contract_and_the_steps_are_in_the_file(model, written, tmp_path):
    extra = {"contract.json": "", "preprocessing.yaml": ""}
    torch.jit.load(str(written), _extra_files=extra)
    facts = json.loads(extra["contract.json"])
    assert (facts["model_hash"], facts["age_unit"]) == (model.model_hash, "years")
    assert facts["training_age_range_years"] == [20.0, 68.0]
    steps = tmp_path / "steps.yaml"
    steps.write_bytes(extra["preprocessing.yaml"])
    assert load_preprocess_config(steps) == model.config.preprocess


def test_no_path_of_this_machine_is_in_the_file(written):
    folder = str(Path(brainage.__file__).parent).encode()
    with zipfile.ZipFile(written) as archive:
        assert not [name for name in archive.namelist() if folder in archive.read(name)]
