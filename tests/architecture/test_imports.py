import ast
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from brainage.cli import app

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "brainage/core").rglob("*.py"))
HEAVY = (
    "torch",
    "monai",
    "torchio",
    "ants",
    "SimpleITK",
    "mlflow",
    "matplotlib",
    "pandas",
    "numpy",
    "scipy",
    "nibabel",
    "nilearn",
    "sklearn",
    "pydicom",
    "captum",
    "onnx",
    "onnxruntime",
    "distributed",
    "requests",
)


def imported(source: str, package: str) -> Iterator[str]:
    """Full names of the modules that a source text imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join(above) + "." if node.level else ""
            yield f"{start}{node.module or ''}".rstrip(".")


def is_allowed_in_core(module: str) -> bool:
    top = module.split(".", maxsplit=1)[0]
    ours = module == "brainage.errors" or f"{module}.".startswith("brainage.core.")
    return top in sys.stdlib_module_names or top == "torch" or ours


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_imports_the_standard_library_and_torch_only(path):
    modules = imported(path.read_text(encoding="utf-8"), "brainage.core")
    assert [module for module in modules if not is_allowed_in_core(module)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import numpy as np",
        "from numpy.typing import NDArray",
        "def f():\n    import yaml",
        "from brainage.data.config import DataConfig",
        "from brainage import config",
        "from ..data import splits",
        "import torchvision",
        "import brainage.corelike",
    ],
)
def test_the_rule_for_the_core_sees_every_way_to_import(statement):
    modules = list(imported(statement, "brainage.core"))
    assert modules
    assert not all(is_allowed_in_core(module) for module in modules)


def loaded_after(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import brainage, brainage.errors",
        "import brainage.cli",
        "from brainage.cli import run; run(['--help']); run(['train', '--help'])",
        "import brainage.config.load",
    ],
)
def test_nothing_heavy_is_loaded(statement):
    assert loaded_after(statement) == set()


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, ``()`` being the program itself."""
    group = group or typer.main.get_command(app)
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


@pytest.fixture(scope="module")
def loaded_by_help():
    """What a fresh process has loaded of the heavy packages after the help of each command.

    One process for all: what the first loads, the later ones are blamed for, too.
    """
    program = (
        "import contextlib, io, json, sys\n"
        "from brainage.cli import run\n"
        "loaded = {}\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        code = run([*words, '--help'])\n"
        f"    heavy = [m for m in {HEAVY} if m in sys.modules]\n"
        "    loaded[' '.join(words)] = [code, 'Usage' in said.getvalue(), heavy]\n"
        "print(json.dumps(loaded))"
    )
    asked = json.dumps(list(commands()))
    done = subprocess.run(
        [sys.executable, "-c", program, asked], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_the_help_of_a_command_loads_nothing_heavy(words, loaded_by_help):
    assert loaded_by_help[" ".join(words)] == [0, True, []]


def test_all_commands_are_asked():
    asked = {" ".join(words) for words in commands()}
    assert {"", "train", "predict", "doctor", "manifest build", "track sync"} <= asked


def test_help_answers_within_half_a_second_of_the_processor():
    """Processor time, for the clock of a busy machine says little; 0.2 s where it was written."""
    program = (
        "import resource, sys\n"
        "from brainage.cli import run\n"
        "run(['--help'])\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        seconds.append(float(done.stdout.splitlines()[-1]))
    assert statistics.median(seconds) < 0.5, seconds


def test_a_heavy_package_would_be_seen():
    assert "numpy" in loaded_after("import numpy")
