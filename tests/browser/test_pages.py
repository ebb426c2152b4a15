"""Every page in a real browser: quiet, whole, sortable, narrow enough for a phone, printable."""

import itertools

import pytest

from tests.browser.pages import PAGES

pytestmark = pytest.mark.browser

PHONE, PAPER = 390, 688  # pixels; A4 without its margins of 14 mm
each_page = pytest.mark.parametrize("name", PAGES)

SORT_ALL = """() => [...document.querySelectorAll('table.sortable')].flatMap((table) => {
  const keys = (column) => [...table.tBodies[0].rows].map((row) =>
    row.cells[column].dataset.sort ?? 'text');
  return [...table.tHead.rows[0].cells].map((head, column) => {
    const button = head.querySelector('button');
    button.click();
    const rising = [head.ariaSort, keys(column)];
    button.click();
    return [rising, [head.ariaSort, keys(column)]];
  });
})"""
BEYOND = """(width) => [...document.querySelectorAll('body *')]
  .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > width + 1)
  .filter((e) => !e.closest('.wide, pre') || getComputedStyle(e.closest('.wide, pre')).overflowX
    === 'visible')
  .map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 40)}`).slice(0, 5)"""


@each_page
def test_a_page_asks_for_nothing_and_complains_of_nothing(visit, name):
    opened = visit(name)
    opened.unfold()
    asked = [url for url in opened.requests if not url.startswith("data:")]
    assert asked == [opened.url]
    assert opened.complaints == []


@each_page
def test_pictures_are_there_and_have_a_size(visit, name):
    page = visit(name).page
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map((svg) => {"
        " const box = svg.getBoundingClientRect();"
        " return [box.width, box.height, svg.querySelectorAll('path, use').length]; })"
    )
    photos = page.evaluate(
        "Promise.all([...document.images].map(async (image) => {"
        " image.loading = 'eager'; await image.decode();"
        " const box = image.getBoundingClientRect();"
        " return [box.width, box.height, image.naturalWidth]; }))"
    )
    assert drawn or photos
    for width, height, content in drawn + photos:
        assert width > 150
        assert height > 100
        assert content > 10


@each_page
def test_every_table_sorts_by_every_column_both_ways(visit, name):
    columns = visit(name).page.evaluate(SORT_ALL)
    assert columns
    for (rising, keys), (falling, keys_falling) in columns:
        assert (rising, falling) == ("ascending", "descending")
        assert is_sorted(keys), keys
        assert is_sorted(keys_falling, falling=True), keys_falling


@each_page
def test_a_click_on_a_head_sorts(visit, name):
    opened = visit(name)
    opened.unfold()
    button = opened.page.locator("table.sortable thead th.number button").first
    button.click()
    assert opened.page.locator("th[aria-sort=ascending]").count() == 1


def is_sorted(keys: list[str], *, falling: bool = False) -> bool:
    """Whether numbers are in order, with those not known at the end; texts are not judged here."""
    try:
        values = [float(key) for key in keys if key]
    except ValueError:
        return True
    known_first = keys == sorted(keys, key=lambda key: key == "")
    pairs = list(itertools.pairwise(values))
    return known_first and all(a >= b if falling else a <= b for a, b in pairs)


@each_page
def test_a_phone_scrolls_down_only(visit, name):
    opened = visit(name, width=PHONE)
    opened.unfold()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert opened.page.evaluate(BEYOND, PHONE) == []


@each_page
def test_nothing_is_cut_off_on_paper(visit, name):
    opened = visit(name, width=PAPER)
    opened.page.emulate_media(media="print")
    opened.unfold()
    assert opened.page.evaluate(BEYOND, PAPER) == []
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened.page.evaluate(background) == "rgb(255, 255, 255)"


@each_page
def test_printing_unfolds_what_is_folded(visit, name):
    page = visit(name, color_scheme="dark").page
    page.evaluate(
        "window.addEventListener('beforeprint', () => { window.folded ="
        " document.querySelectorAll('details:not([open])').length; })"
    )
    folded = page.locator("details:not([open])").count()
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert page.evaluate("window.folded") == 0
    assert page.locator("details:not([open])").count() == folded


def test_flagged_scans_can_be_looked_at_alone(visit):
    page = visit("quality").page
    rows = page.locator("table.scans tbody tr:visible")
    assert rows.count() == 7
    page.get_by_role("button", name="flagged").first.click()
    assert rows.count() == 1
    assert "1 of 7 scans" in page.locator("output").inner_text()
