import re
from dataclasses import replace

import pytest

from brainage.errors import RunFolderError
from brainage.reporting.comparison import Contrast
from brainage.reporting.comparison_page import (
    FIGURES,
    render_comparison,
    verdicts,
    write_comparison_figures,
    write_comparison_page,
)
from brainage.reporting.estimates import Estimate
from brainage.reporting.formatting import NOTHING
from tests.reporting.comparisons import comparison


@pytest.fixture(scope="module")
def page() -> str:
    return render_comparison(comparison())


def test_the_page_shows_errors_differences_costs_and_what_failed(page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "local: worse than bp" in text
    assert "0.50 0.12 to 0.88" in text
    assert "wild, seed 0, fold 1: epoch 1: &lt;nan&gt;" in text
    assert "50 ms 0.50" in text  # step of local, and its ratio
    assert "no counter" in text
    assert "1,234" in text
    assert "<nan>" not in page
    assert "name: &lt;rules&gt;" in page


def test_the_page_needs_nothing_else(page):
    assert not re.search(r"https?://|<link[^>]+stylesheet|<script[^>]+src|<img", page)
    assert page.count("<svg") == len(FIGURES)


def test_ids_of_the_figures_do_not_meet(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_comparison_without_costs_and_curves_has_fewer_figures_and_dashes():
    bare = [
        replace(each, cost=None, curve=(), epochs_to_target=None, seconds_to_target=None)
        for each in comparison().arms
    ]
    page = render_comparison(comparison(arms=tuple(bare)))
    assert page.count("<svg") == 3
    assert NOTHING in page


def test_a_failed_reference_is_told_and_compared_with_nobody():
    failed = replace(comparison().arms[0], mae_years=None, mae_by_seed=(), failures=("nan",))
    found = comparison(arms=(failed, *comparison().arms[1:]), contrasts=())
    assert verdicts(found) == ["No arm could be compared with bp."]
    assert "failed" in render_comparison(found)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.9, "local: worse than bp"),
        (-0.9, -0.1, "local: better than bp"),
        (-0.1, 0.9, "local: not told apart from bp by this sample"),
        (None, None, "local: not told apart from bp by this sample"),
    ],
)
def test_a_difference_is_told_only_where_its_interval_leaves_out_zero(low, high, words):
    estimate = Estimate(0.4, low, high)
    contrast = Contrast(a="local", b="bp", num_scans=24, difference_years=estimate)
    assert verdicts(comparison(contrasts=(contrast,))) == [words]


def test_page_and_figures_are_written(tmp_path):
    write_comparison_page(comparison(), tmp_path / "page.html")
    write_comparison_figures(comparison(), tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {figure.name for figure in FIGURES}
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_comparison_figures(comparison(), tmp_path / "file")
