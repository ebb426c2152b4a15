import sys
from pathlib import Path
from types import ModuleType

import pytest

from brainage.cli import run

TEXT = """
name: rules
reference: bp
arms: {bp: {objective: {name: bp}}, local: {}}
run: {}
"""


class Done:
    exit_code = 1

    def describe(self):
        return ["done"]

    def to_json(self):
        return {"rows": []}


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What the workflow is called with."""
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(TEXT)
    made = []

    def compare(config, **options):
        made.append((config, options))
        return Done()

    module = ModuleType("brainage.workflows.compare.run")
    module.compare = compare
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def test_the_checked_comparison_and_its_options_reach_the_workflow(calls, capsys):
    words = ["--set", "run.trainer.epochs=3", "--set", "seeds=[4]", "--runs", "here", "--json"]
    assert run(["compare", "--config", "rules.yaml", *words]) == 1
    ((config, options),) = calls
    assert (config.arm("bp", 4).trainer.epochs, config.seeds) == (3, (4,))
    assert (options["runs_folder"], options["resume"]) == (Path("here"), None)
    assert capsys.readouterr().out == '{"rows": []}\n'


def test_a_resumed_comparison_brings_its_own_configuration(calls):
    folder = Path("runs/rules")
    folder.mkdir(parents=True)
    Path("rules.yaml").rename(folder / "config.yaml")
    assert run(["compare", "--resume", str(folder)]) == 1
    ((config, options),) = calls
    assert config.name == "rules"
    assert options["resume"] == folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option '--config'"),
        (["--resume", "gone"], "gone: nothing to resume"),
        (["--config", "rules.yaml", "--set", "arms.bp.seed=1"], "arms are paired"),
        (["--config", "gone.yaml"], "no configuration gone.yaml"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(calls, capsys, words, message):
    assert run(["compare", *words]) == 2
    assert calls == []
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
