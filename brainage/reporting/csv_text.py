"""Rows as CSV text."""

import csv
import io
from collections.abc import Iterable
from typing import Any


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as CSV; a list becomes numbers with semicolons, what is not known an empty cell."""
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return ";".join(f"{key}={_cell(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ";".join(str(_cell(inner)) for inner in value)
    return f"{value:.6g}" if isinstance(value, float) else value
