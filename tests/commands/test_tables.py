import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from brainage.cli import run

BASE = """
methods: {}
data: {name: mnist}
recipe:
  backbone: {name: mlp, hidden_sizes: [8], output_stage: true}
  blocks: {num_blocks: 2}
"""
TABLE = """
name: NAME
title: Errors
parts: {only: {panel: {base: base.yaml, methods: {bp: {objective: {name: bp}}}}}}
rows: [{part: only, method: bp, measure: test_error_percent, published: [1.25]}]
"""


class Done:
    exit_code = 1

    def describe(self):
        return ["done"]

    def to_json(self):
        return {"rows": []}


@pytest.fixture(autouse=True)
def tables(monkeypatch, tmp_path):
    """Two tables, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    Path("configs/tables").mkdir(parents=True)
    Path("base.yaml").write_text(BASE)
    for name in ("one", "two"):
        Path("configs/tables", f"{name}.yaml").write_text(TABLE.replace("NAME", name))


@pytest.fixture
def calls(monkeypatch):
    """What the workflow is called with; it then does what is asked of it."""
    made = []

    def run_tables(tables, **options):
        made.append(([table.name for table in tables], tables, options))
        if options["jobs"] == 7:
            raise KeyboardInterrupt
        return Done()

    module = ModuleType("brainage.workflows.tables.run")
    module.run_tables = run_tables
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def test_checked_tables_and_options_reach_the_workflow(calls, capsys):
    words = ["--part", "only", "--set", "only.seeds=[4]", "--out", "here", "--jobs", "2", "--json"]
    assert run(["tables", "run", "one", *words]) == 1
    ((names, (table,), options),) = calls
    assert names == ["one"]
    assert table.parts["only"].panel.reduced == {"seeds": [4]}
    assert options == {"out": Path("here"), "full": False, "jobs": 2, "only": ["only"]}
    assert capsys.readouterr().out == '{"rows": []}\n'


def test_several_tables_are_done_in_the_order_they_are_named(calls):
    assert run(["tables", "run", "two", "one", "--full"]) == 1
    ((names, _, options),) = calls
    assert names == ["two", "one"]
    assert (options["full"], options["out"], options["jobs"]) == (True, Path("runs/tables"), 1)


def test_an_interrupted_run_tells_the_command_that_goes_on(calls, capsys):
    words = ["one", "--part", "only", "--set", "only.seeds=[4]", "--out", "a b", "--jobs", "7"]
    assert run(["tables", "run", *words]) == 130
    command = "brainage tables run one --out 'a b' --part=only --set 'only.seeds=[4]' --jobs=7"
    assert capsys.readouterr().err.splitlines()[-1] == f"interrupted; resume with: {command}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "Missing argument 'NAME...'"),
        (["run", "s99"], "no table s99: there are one, two, s1"),
        (["run", "one", "two", "--set", "only.seeds=[1]"], "changes one table, but 2 are named"),
        (["run", "one", "--set", "other.seeds=[1]"], "a part that trains networks (only)"),
        (["run", "one", "--full", "--set", "only.seeds=[1]"], "changes nothing with --full"),
        (["run", "gone.yaml"], "no configuration gone.yaml"),
        (["run", "one", "--jobs", "0"], "--jobs"),
        (["report", "s99"], "no table s99"),
        (["report", "one", "--out", "base.yaml/page.md"], "base.yaml/page: cannot create it"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(calls, capsys, words, message):
    assert run(["tables", *words]) == 2
    assert calls == []
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_report_of_what_was_not_run_says_so_on_the_page_and_in_json(capsys):
    assert run(["tables", "report", "two", "one", "--out", "page.md", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == "page.md"
    assert [table["table"] for table in told["tables"]] == ["two", "one"]
    (row,) = told["tables"][0]["rows"]
    assert (row["measured"], row["published"], row["scale"]) == (None, 1.25, "not run")
    page = Path("page.md").read_text()
    assert page.index("Table TWO") < page.index("Table ONE")


def test_a_report_without_names_is_of_all_tables(capsys):
    assert run(["tables", "report", "--out", "page.md"]) == 0
    page = Path("page.md").read_text()
    for heading in ("Table ONE", "Table TWO", "Table S1", "Table S10", "Figure S11"):
        assert f"## {heading}\n" in page
    assert capsys.readouterr().out.endswith("report: page.md\n")


@pytest.mark.parametrize("command", ["run", "report"])
def test_help_has_an_example(command, capsys):
    assert run(["tables", command, "--help"]) == 0
    assert f"brainage tables {command}" in capsys.readouterr().out
