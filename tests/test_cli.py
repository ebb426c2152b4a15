import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from brainage import __version__
from brainage.cli import run
from brainage.errors import ManifestError


@dataclass(frozen=True)
class Result:
    exit_code: int = 0
    numbers: tuple[tuple[str, object], ...] = ()

    def describe(self) -> list[str]:
        return [f"{name}: {value}" for name, value in self.numbers]

    def to_json(self) -> dict[str, object]:
        return dict(self.numbers)


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Commands set up logging for their process; here they share one."""
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("brainage").level
    yield
    logging.getLogger("brainage").setLevel(level)


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch):
    """Put a function in the place of a workflow and keep what it was called with."""

    def put(name: str, behaviour, function: str | None = None):
        calls = []

        def called(*args, **kwargs):
            calls.append((args, kwargs))
            return behaviour()

        module = ModuleType(f"brainage.workflows.{name}.run")
        setattr(module, function or name, called)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return calls

    return put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("name: small\n")
    return path


PREDICT = ["predict", "scans", "--model", "m", "--out", "p.csv"]


def test_train_hands_the_checked_configuration_to_the_workflow(workflow, config):
    calls = workflow("train", function="train_as_rank", behaviour=Result)
    assert run(["train", "-c", str(config), "--set", "trainer.epochs=3", "--set", "seed=5"]) == 0
    ((settings,), options) = calls[0]
    assert (settings.name, settings.trainer.epochs, settings.seed) == ("small", 3, 5)
    assert options == {"runs_folder": Path("runs"), "resume": None}


def test_a_resumed_run_brings_its_own_configuration(workflow, config):
    calls = workflow("train", function="train_as_rank", behaviour=Result)
    folder = config.parent / "runs/small"
    folder.mkdir(parents=True)
    config.rename(folder / "config.yaml")
    assert run(["train", "--resume", str(folder)]) == 0
    ((settings,), options) = calls[0]
    assert settings.name == "small"
    assert options["resume"] == folder


def test_predict_hands_its_options_to_the_workflow(workflow):
    calls = workflow("predict", Result)
    assert run([*PREDICT, "--resume", "--jobs", "2"]) == 0
    assert calls == [
        (
            (Path("scans"),),
            {
                "model": "m",
                "out": Path("p.csv"),
                "resume": True,
                "retry_failed": False,
                "jobs": 2,
                "answer": "last",
                "device": "auto",
                "batch_size": 1,
                "cache_folder": None,
                "root": None,
                "overwrite": False,
                "subject_from": "hash",
            },
        )
    ]


def test_the_exit_code_is_the_summary_s(workflow):
    workflow("predict", lambda: Result(exit_code=1))
    assert run(PREDICT) == 1


def test_the_summary_is_shown_as_lines(workflow, capsys):
    workflow("predict", lambda: Result(numbers=(("rows", 2), ("out", "p.csv"))))
    run(PREDICT)
    assert capsys.readouterr().out.splitlines() == ["rows: 2", "out: p.csv"]


def test_json_output_is_one_valid_object_even_without_a_correlation(workflow, capsys):
    def chat():
        print("chatter")
        return Result(numbers=(("rows", [{"r": float("nan")}]), ("ok", 1)))

    workflow("predict", chat)
    run([*PREDICT, "--json"])
    captured = capsys.readouterr()
    assert captured.err == "chatter\n"
    content = json.loads(captured.out, parse_constant=pytest.fail)
    assert content == {"rows": [{"r": None}], "ok": 1}


def test_what_goes_wrong_with_the_input_is_one_line(workflow, capsys):
    def refuse():
        raise ManifestError("cohort.csv: row 3: age_years:\n expected a number, got 'x'")

    workflow("predict", refuse)
    assert run(PREDICT) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: cohort.csv: row 3: age_years: expected a number, got 'x'\n"
    assert captured.out == ""


def test_a_bug_keeps_its_traceback(workflow):
    def fail():
        raise KeyError("ours")

    workflow("predict", fail)
    with pytest.raises(KeyError):
        run(PREDICT)


def test_a_manifest_is_built_and_checked_by_its_workflow(workflow):
    build, check = workflow("x", Result), workflow("y", Result)
    module = sys.modules["brainage.workflows.manifest"] = ModuleType("brainage.workflows.manifest")
    module.build_manifest = sys.modules["brainage.workflows.x.run"].x
    module.check_manifest = sys.modules["brainage.workflows.y.run"].y
    try:
        assert run(["manifest", "build", "scans", "--out", "m.csv"]) == 0
        assert run(["manifest", "check", "m.csv", "--root", "data"]) == 0
    finally:
        del sys.modules["brainage.workflows.manifest"]
    assert build == [
        ((Path("scans"),), {"out": Path("m.csv"), "root": None, "subject_from": "hash"})
    ]
    assert check == [((Path("m.csv"),), {"root": Path("data")})]


def interrupt(*args):
    raise KeyboardInterrupt(*args)


def test_an_interrupted_prediction_tells_how_to_go_on(workflow, capsys):
    workflow("predict", interrupt)
    assert run(["predict", "my scans", *PREDICT[2:]]) == 130
    assert capsys.readouterr().err == (
        "interrupted; resume with: brainage predict 'my scans' --model m --out p.csv --resume\n"
    )


def test_an_interrupted_training_tells_the_folder_to_go_on_from(workflow, config, capsys):
    workflow("train", function="train_as_rank", behaviour=lambda: interrupt(Path("runs/small-2")))
    assert run(["train", "--config", str(config)]) == 130
    err = capsys.readouterr().err
    assert err == "interrupted; resume with: brainage train --resume runs/small-2\n"


def test_a_training_interrupted_before_it_had_a_folder_offers_nothing(workflow, config, capsys):
    workflow("train", function="train_as_rank", behaviour=interrupt)
    assert run(["train", "--config", str(config)]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing option '--config' (or '--resume' to go on with a run)"),
        (["tran"], "No such command 'tran'"),
        (["train", "--confg", "x"], "No such option: --confg"),
        (["predict"], "Missing argument 'SOURCE'"),
        (["predict", "x", "--model", "m"], "Missing option '--out'"),
        ([*PREDICT, "--jobs", "0"], "Invalid value for '--jobs'"),
        ([*PREDICT, "--jobs", "two"], "Invalid value for '--jobs'"),
        (["train", "-c", "none.yaml"], "no configuration none.yaml"),
        (["train", "-c", "small.yaml", "--set", "seed"], "--set seed: expected key=value"),
        (
            ["train", "-c", "small.yaml", "--set", "objective.leader_fracton=1"],
            "objective.leader_fracton: unknown key, did you mean leader_fraction?",
        ),
    ],
)
def test_a_mistyped_command_ends_in_one_line(arguments, message, config, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {message}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["train", "predict", "evaluate", "plan", "manifest build", "manifest check"]
)
def test_the_help_of_every_command_has_an_example(command, capsys):
    assert run([*command.split(), "--help"]) == 0
    assert f"Example:\n    brainage {command} " in capsys.readouterr().out


def test_the_program_alone_shows_its_help(capsys):
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"brainage {__version__}\n"


NOISY = """
import ctypes, logging, os, subprocess, sys, types, warnings
from brainage.cli import main

class Result:
    exit_code = 1
    def to_json(self):
        return {"rows": 1}

def predict(*args, **kwargs):
    print("a print")
    os.write(1, b"a C library")
    ctypes.CDLL(None).puts(b"a buffered C library")
    subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
    logging.getLogger("brainage.x").info("a log line")
    warnings.warn("a warning")
    return Result()

module = types.ModuleType("brainage.workflows.predict.run")
module.predict = predict
sys.modules[module.__name__] = module
main()
"""


def test_with_json_everything_else_goes_to_stderr():
    command = [sys.executable, "-c", NOISY, *PREDICT, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout == '{"rows": 1}\n'
    assert done.returncode == 1
    told = ["a print", "a C library", "a buffered C library", "a child", "a log line", "a warning"]
    assert [noise for noise in told if noise not in done.stderr] == []
