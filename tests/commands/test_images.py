from pathlib import Path
from types import SimpleNamespace

import pytest

from brainage.cli import run
from brainage.workflows.images import run as panel

PANEL = """
name: mine
methods: {bp: {objective: {name: bp}}}
data: {name: mnist}
recipe:
  backbone: {name: mlp, hidden_sizes: [8], output_stage: true}
  blocks: {num_blocks: 2}
"""


@pytest.fixture
def called(monkeypatch, tmp_path):
    """What the panel was asked for, in a folder to work in."""
    calls = []

    def benchmark_images(config, **how):
        calls.append((config.name, how["resume"]))
        return SimpleNamespace(exit_code=0, describe=list, to_json=dict)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(panel, "benchmark_images", benchmark_images)
    return calls


def test_a_panel_goes_on_with_the_configuration_that_was_saved_with_it(called):
    folder = Path("runs/mine")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(PANEL)
    assert run(["benchmark", "images", "--resume", str(folder)]) == 0
    assert called == [("mine", folder)]


def test_a_folder_without_a_panel_is_one_line(called, capsys):
    assert run(["benchmark", "images", "--resume", "runs/none"]) == 2
    told = capsys.readouterr().err
    assert told == "error: runs/none: nothing to resume: config.yaml is not there\n"
    assert called == []


def test_without_a_name_it_is_mnist(called):
    assert run(["benchmark", "images"]) == 0
    assert called == [("mnist-mlp", None)]
