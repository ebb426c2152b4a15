"""The page of the documentation is the one that the kept results give."""

import re
from pathlib import Path

import pytest

from brainage.config.tables import load_table, table_names
from brainage.workflows.tables import figures
from brainage.workflows.tables.report import report_tables
from brainage.workflows.tables.result import load_result

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "docs/results/tables"
PAGE = ROOT / "docs/paper_tables.md"
KEPT = sorted(path.stem for path in RESULTS.glob("*.json"))


def test_the_page_is_what_the_report_writes_of_the_kept_results(monkeypatch):
    for draw in ("setting_figure", "training_figure"):
        monkeypatch.setattr(figures, draw, lambda *lines, **words: b"")
    tables = [load_table(name) for name in table_names()]
    report_tables(tables, results=RESULTS, out=Path(PAGE.name))
    assert Path(PAGE.name).read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_the_page_s_figures_are_there():
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert shown
    assert [name for name in shown if not (PAGE.parent / name).is_file()] == []
    kept = {path.name for path in PAGE.with_suffix("").iterdir()}
    assert {Path(name).name for name in shown} == kept


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_result_has_the_published_values_of_its_table(name):
    table, result = load_table(name), load_result(RESULTS / f"{name}.json")
    shown: dict[tuple[str, str, str], list[tuple[float | None, float | None]]] = {}
    for cell in result.rows:
        row = shown.setdefault((cell.part, cell.method, cell.measure), [])
        row.append((cell.published, cell.published_sd))
    for row in table.rows:
        values = shown[row.part, row.method, row.measure]
        printed = row.published or (None,) * len(values)
        spread = row.published_sd or (None,) * len(values)
        assert values == list(zip(printed, spread, strict=True))
    assert len(shown) == len(table.rows)


def test_results_of_every_table_are_kept():
    assert sorted(table_names()) == KEPT


def test_nothing_is_told_as_measured_that_was_not_run():
    for name in KEPT:
        result = load_result(RESULTS / f"{name}.json")
        for cell in result.rows:
            if result.parts[cell.part].scale == "not run":
                assert (cell.measured, cell.seeds) == (None, 0)
