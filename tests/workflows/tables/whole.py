"""Tables all of whose parts can be done."""

from typing import Any

from brainage.config.tables import TableConfig
from brainage.workflows.tables import run
from brainage.workflows.tables.result import TableResult


def run_table(table: TableConfig, **options: Any) -> TableResult:
    """The table; no part may have been left out."""
    result, errors = run.run_table(table, **options)
    assert errors == []
    return result
