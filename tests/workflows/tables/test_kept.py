"""The results in ``docs/results/tables`` are of the tables as they are configured."""

from pathlib import Path

import pytest

from brainage.config.tables import load_table, table_names
from brainage.workflows.tables.report import report_tables
from brainage.workflows.tables.result import load_result

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "docs" / "results" / "tables"
PAGE = ROOT / "docs" / "paper_tables.md"


@pytest.mark.parametrize("name", table_names())
def test_a_kept_result_has_the_rows_and_published_values_of_its_table(name):
    table, result = load_table(name), load_result(KEPT / f"{name}.json")
    assert result.table == name
    kept: dict[tuple[str, str, str], tuple[float | None, ...]] = {}
    for cell in result.rows:
        key = (cell.part, cell.method, cell.measure)
        kept[key] = (*kept.get(key, ()), cell.published)
    assert list(kept) == [(row.part, row.method, row.measure) for row in table.rows]
    for row in table.rows:
        values = kept[row.part, row.method, row.measure]
        assert values == (row.published or (None,) * len(values))


def test_nothing_is_told_as_measured_that_was_not_run():
    for name in table_names():
        result = load_result(KEPT / f"{name}.json")
        for cell in result.rows:
            if result.parts[cell.part].scale == "not run":
                assert (cell.measured, cell.seeds) == (None, 0)


@pytest.mark.slow
def test_the_page_is_made_again_as_it_is(tmp_path):
    tables = [load_table(name) for name in table_names()]
    report_tables(tables, results=KEPT, out=tmp_path / PAGE.name)
    assert (tmp_path / PAGE.name).read_text("utf-8") == PAGE.read_text("utf-8")
    made = {path.name for path in (tmp_path / PAGE.stem).iterdir()}
    assert made == {path.name for path in (ROOT / "docs" / PAGE.stem).iterdir()}
