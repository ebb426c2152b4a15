import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def test_a_heavy_package_would_be_seen():
    assert "numpy" in loaded_after("import numpy")
