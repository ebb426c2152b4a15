"""Figures, pictures and the page of a stress test."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from brainage.stress.figures import draw_results
from brainage.stress.page import render_stress_page
from brainage.stress.pictures import contact_sheet, show
from brainage.stress.rotation import turn_in_header
from brainage.stress.translation import shift_voxels
from tests.stress.made_up import results, row

CREATED = datetime(2030, 1, 1, tzinfo=UTC)


def test_there_is_a_figure_for_the_changes_and_one_for_each_dose_response():
    titles = [figure.title for figure in draw_results(results(), "png")]
    assert titles == ["Changes of age", "Enlarged ventricles", "Thinned cortex"]


def test_results_without_an_age_have_no_figure_and_still_a_page():
    refused = row("untouched", "", verdict="refused", delta_years=None, stage="read", reason="bad")
    assert draw_results(results([refused]), "png") == []
    assert "bad" in render_stress_page(results([refused]), [], CREATED)


def test_the_page_tells_what_is_over_budget_and_shows_the_pictures(whole):
    changed = row("noise", "12%", delta_years=-3.0, budget_years=2.0, verdict="over")
    page = render_stress_page(results(), [(changed, show(whole, whole.scan))], CREATED)
    assert "2 <span>of 7</span>" in page
    assert "farthest: noise, 12%, \N{MINUS SIGN}3.0 years" in page
    assert "data:image/jpeg;base64," in page
    assert "registration: the brain does not fit the template" in page


def test_names_are_escaped():
    page = render_stress_page(results(model="<script>alert(1)</script>"), [], CREATED)
    assert "<script>alert(1)" not in page


def test_a_turned_head_is_shown_turned_and_the_same_head_the_same(whole):
    untouched = show(whole, whole.scan)
    turned = show(whole, turn_in_header(whole, axis=2, degrees=20))
    between = show(whole, shift_voxels(whole, voxels=0.5))
    difference = [np.abs(other.astype(int) - untouched).mean() for other in (turned, between)]
    assert difference[0] > 5
    assert difference[1] < difference[0] / 2


@pytest.mark.parametrize("count", [1, 6])
def test_a_contact_sheet_has_room_for_every_picture(count):
    picture = np.full((100, 160), 200, dtype=np.uint8)
    content = contact_sheet([(f"noise, {index}", picture) for index in range(count)])
    sheet = np.asarray(Image.open(io.BytesIO(content)))
    assert np.count_nonzero(sheet == 200) >= count * picture.size * 0.99
