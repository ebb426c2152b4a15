"""What the page about the method names is there."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/method_map.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`(brainage(?:\.\w+)+)`", PAGE)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


def found(name: str) -> object:
    """What a full name stands for: a module or something in one.

    Raises:
        AttributeError: if nothing has that name.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise AttributeError(name)


@cache
def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_every_named_part_of_the_code_exists(name):
    assert found(name) is not None


@pytest.mark.parametrize("name", TESTS)
def test_every_named_test_exists(name):
    path, _, function = name.partition("::")
    assert function.startswith("test_")
    assert function in functions_of(path)


def test_a_name_that_is_gone_would_be_seen():
    with pytest.raises(AttributeError):
        found("brainage.core.leaders.elect_leaders")


@pytest.mark.parametrize(
    "subject",
    [
        "worker",
        "readout",
        "leaders",
        "best leader",
        "follower distance",
        "global loss",
        "objectives",
        "blocks",
        "isolation",
        "pipelined is sequential",
        "t = f + b",
        "planner",
    ],
)
def test_every_definition_has_a_row_with_a_test(subject):
    assert [row for row in ROWS if subject in row.lower()]
