"""Copies of a module with one piece of its source replaced, on which a test has to fail."""

import inspect
from types import ModuleType
from typing import Any


def mutant(module: ModuleType, old: str, new: str) -> dict[str, Any]:
    """The names of the module after one replacement; ``old`` has to stand there exactly once."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, old
    namespace: dict[str, Any] = {"__name__": f"{module.__name__}_mutant"}
    exec(compile(source.replace(old, new), "mutant", "exec"), namespace)
    return namespace
