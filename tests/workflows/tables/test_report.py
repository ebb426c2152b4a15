import json
import re
from pathlib import Path

import pytest

from brainage.config.tables import load_table
from brainage.errors import RunFolderError
from brainage.reporting.formatting import NOTHING
from brainage.workflows.tables.report import heading, report_tables
from brainage.workflows.tables.result import TableResult, load_result
from tests.workflows.tables.conftest import SCALE, TINY, tiny, write_table
from tests.workflows.tables.whole import run_table

OUT = Path("out")
PAGE = Path("page/tables.md")


def page(*tables, results: Path = OUT) -> str:
    report_tables(tables, results=results, out=PAGE)
    return PAGE.read_text(encoding="utf-8")


def cells(text: str, first: str, second: str) -> list[str]:
    """The values of a row of a Markdown table."""
    (line,) = [each for each in text.splitlines() if each.startswith(f"| {first} | {second} |")]
    return [each.strip() for each in line.split("|")[3:-1]]


def test_measured_and_published_values_stand_in_rows_of_their_own(made_up):
    table = tiny()
    run_table(table, out=OUT, full=False, jobs=1)
    text = page(table)
    assert cells(text, "local, test error (%)", "measured") == ["20.50 ± 0.71", "30.50 ± 0.71"]
    assert "| | published | 11.25 | 12.25 |" in text
    assert cells(text, "bp, test error (%)", "measured") == ["10.50 ± 0.71"]
    assert f"* **planted**: {SCALE}; all; a machine; data mnist; " in text
    assert "* Nothing is known of it." in text
    assert "`brainage tables run tiny`" in text


def test_a_row_without_published_values_has_no_line_for_them(made_up):
    table = tiny()
    run_table(table, out=OUT, full=False, jobs=1)
    lines = page(table).splitlines()
    after = lines[lines.index("| bp, training error (%) | measured | 5.25 ± 0.35 |") + 1]
    assert "published" not in after


def test_what_was_not_measured_is_a_dash_and_never_the_published_value():
    text = page(tiny())
    assert cells(text, "local, test error (%)", "measured") == [NOTHING, NOTHING]
    assert "| | published | 11.25 | 12.25 |" in text
    assert "* **planted**: not run" in text
    assert "![" not in text
    measured = [line for line in text.splitlines() if "| measured |" in line]
    assert not re.search(r"\d\d\.\d\d", "".join(measured))


def test_kept_results_give_the_same_page_without_the_fits(made_up):
    table = tiny()
    run_table(table, out=OUT, full=False, jobs=1)
    before = page(table)
    pictures = {path.name: path.read_bytes() for path in PAGE.with_suffix("").iterdir()}
    kept = Path("kept")
    kept.mkdir()
    (OUT / "tiny.json").rename(kept / "tiny.json")
    assert page(table, results=kept) == before
    assert {p.name: p.read_bytes() for p in PAGE.with_suffix("").iterdir()} == pictures
    assert set(pictures) == {"tiny-planted-test_error.png", "tiny-planted-train_error.png"}
    for name in pictures:
        assert f"![{name.removesuffix('.png')}](tables/{name})" in before


def test_what_is_on_the_disk_goes_before_what_was_kept(made_up):
    table = tiny()
    run_table(table, out=OUT, full=False, jobs=1)
    rows = OUT / "tiny/planted/rows.jsonl"
    rows.write_text(rows.read_text().splitlines(keepends=True)[0])
    assert cells(page(table), "bp, test error (%)", "measured") == ["10.00"]


def test_a_borrowed_part_is_read_where_its_fits_are(made_up):
    write_table(
        "name: fig_b\ntitle: Borrowed\nparts: {theirs: {use: {table: tiny, part: planted}}}\n"
        "rows: [{part: theirs, method: bp, measure: test_error_percent}]\n",
        "fig_b",
    )
    run_table(tiny("planted.seeds=[0]"), out=OUT, full=False, jobs=1)
    borrower = load_table("fig_b")
    TableResult(table="fig_b", title="of an earlier run", parts={}, rows=()).save(OUT)
    text = page(borrower)
    assert "## Figure B" in text
    assert cells(text, "bp, test error (%)", "measured") == ["10.00"]


def test_failed_fits_are_named_on_the_page(made_up):
    table = tiny(text=TINY.replace("controls: {", "controls: {wild: {}, "))
    run_table(table, out=OUT, full=False, jobs=1)
    text = page(table)
    for seed in (0, 1):
        assert f"failed: wild, seed {seed}: it came to nothing" in text


def test_a_result_is_the_same_after_it_was_kept(made_up):
    result = run_table(tiny(), out=OUT, full=False, jobs=1)
    assert load_result(OUT / "tiny.json") == result
    assert json.loads((OUT / "tiny.json").read_text())["complete"] is True


@pytest.mark.parametrize("text", ["{", "[]", '{"table": "tiny"}', "null"])
def test_a_file_that_is_no_result_is_refused_by_name(text):
    OUT.mkdir()
    (OUT / "tiny.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"^out/tiny\.json: is no result of a table"):
        page(tiny())


def test_a_page_without_an_ending_has_its_figures_beside_it(made_up):
    table = tiny()
    run_table(table, out=OUT, full=False, jobs=1)
    report_tables([table], results=OUT, out=Path("page"))
    assert "(page-figures/tiny-planted-test_error.png)" in Path("page").read_text()
    assert Path("page-figures/tiny-planted-test_error.png").is_file()


@pytest.mark.parametrize(
    ("name", "words"), [("s1", "Table S1"), ("s10", "Table S10"), ("fig_s8", "Figure S8")]
)
def test_a_table_is_headed_as_in_the_supplement(name, words):
    assert heading(name) == words
