"""The quality page: complete without a script, self-contained, safe with any text."""

import base64
import re
from pathlib import Path

import pytest

from brainage.preprocess.quality import FIGURES
from brainage.preprocess.quality_limits import load_quality_limits
from brainage.reporting.qc_page import QualityPage, ScanCard, render_quality_page
from tests.reporting.test_report import Page

PICTURE = b"\xff\xd8 not a picture, but bytes"


def card(name: str = "sub-1", **changes) -> ScanCard:
    figures = {figure.name: 1.0 for figure in FIGURES}
    values = {"scan": f"/data/{name}.nii", "subject": name, "session": None, "site": "here",
              "status": "ok", "figures": figures}  # fmt: skip
    return ScanCard(**{**values, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "one.jpg").write_bytes(PICTURE)
    return folder


@pytest.fixture(scope="module")
def source(folder) -> str:
    cards = (
        card("sub-good", picture=Path("one.jpg")),
        card("sub-odd", flags=("low_template_dice", "high_cjv"), picture=Path("gone.jpg")),
        card(
            "sub-bad", status="failed", stage="read", reason="a <b>truncated</b> file", figures={}
        ),
    )
    page = QualityPage(title="t", preprocessing_hash="abc", spacing_mm=2.0, cards=cards)
    return render_quality_page(page, pictures=folder)


def rows_of(source: str) -> list[str]:
    body = source.partition("<tbody>")[2].partition("</tbody>")[0]
    return re.findall(r"<tr .*?</tr>", body, flags=re.DOTALL)


def test_every_scan_has_a_row_in_input_order(source):
    subjects = [re.search("<strong>(sub-[a-z]+)", row)[1] for row in rows_of(source)]
    assert subjects == ["sub-good", "sub-odd", "sub-bad"]


def test_counts_and_flags_are_shown(source):
    text = Page(source).text
    assert "Scans 3 Preprocessed 2 of them flagged 1 Failed 1" in text
    assert "low template dice" in text
    assert "failed at read" in text


def test_a_flagged_figure_is_marked_in_its_row_only(source):
    good, odd, bad = rows_of(source)
    assert [row.count("beyond") for row in (good, odd, bad)] == [0, 2, 0]
    assert 'data-flags="low_template_dice high_cjv"' in odd


def test_pictures_are_part_of_the_page_and_a_lost_one_is_told(source):
    good, odd, _ = rows_of(source)
    assert base64.b64encode(PICTURE).decode() in good
    assert "<img" not in odd
    assert "no picture" in odd


def test_text_from_files_is_not_markup(source):
    assert "a &lt;b&gt;truncated&lt;/b&gt; file" in source


def test_nothing_is_fetched(source):
    attributes = [value for _, found in Page(source).elements for name, value in found.items()
                  if name in {"src", "href", "srcset", "action"}]  # fmt: skip
    assert attributes
    assert all(value.startswith("data:") for value in attributes)
    style = source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_elements_are_closed_and_ids_not_repeated(source):
    page = Page(source)
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert page.open == []
    assert len(ids) == len(set(ids))


def test_limits_and_their_rule_are_stated(source):
    text, limits = Page(source).text, load_quality_limits()
    assert limits.rule in text
    assert f"learned from {limits.num_scans} scans" in text
    assert all(figure.meaning in text for figure in FIGURES)


def test_two_hundred_scans_are_a_page_of_few_megabytes(folder):
    (folder / "typical.jpg").write_bytes(b"x" * 25_000)
    cards = tuple(card(f"sub-{n}", picture=Path("typical.jpg")) for n in range(200))
    page = QualityPage(title="t", preprocessing_hash="abc", spacing_mm=2.0, cards=cards)
    assert len(render_quality_page(page, pictures=folder)) < 8_000_000


def test_of_very_many_scans_only_flagged_ones_have_their_picture(folder):
    good = card("sub-good", picture=Path("one.jpg"))
    odd = card("sub-odd", picture=Path("one.jpg"), flags=("high_cjv",))
    page = QualityPage(
        title="t", preprocessing_hash="abc", spacing_mm=2.0, cards=(odd, *[good] * 1000)
    )
    source = render_quality_page(page, pictures=folder)
    rows = rows_of(source)
    assert [row.count("<img") for row in rows] == [1, *[0] * 1000]
    assert "one.jpg" in rows[1]
    assert "only flagged ones have their picture" in Page(source).text
