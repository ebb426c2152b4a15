"""Stands for a loader of models in the tests; MLflow imports it by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainage.errors import ConfigError

Row = Mapping[str, Any]


def load_constant(folder: Path) -> Callable[[Sequence[Row]], list[Row]]:
    """A model that gives the age in its file plus the length of the scan's name; no PNG."""
    age = float((folder / "age.txt").read_text())

    def answer(request: Row) -> Row:
        if "scan" not in request:
            raise ConfigError(f"expected a scan, got {sorted(request)}")
        scan = Path(request["scan"])
        if scan.suffix == ".png":
            return {"status": "failed", "reason": "no scan", "predicted_age": None}
        return {"status": "ok", "reason": None, "predicted_age": age + len(scan.stem)}

    return lambda requests: [answer(request) for request in requests]
