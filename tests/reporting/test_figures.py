import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from brainage.reporting import figures, training_figures

RANDOM = np.random.default_rng(0)
AGE = RANDOM.uniform(5, 80, 30)
PREDICTED = AGE + RANDOM.normal(0, 5, 30)
SITES = [("north", "$south$", "_west", None)[index % 4] for index in range(30)]
HISTORY = {
    "train/loss": [(1, 1.0), (2, 0.5)],
    "train/block2/loss": [(1, 2.0), (2, 1.0)],
    "train/block10/loss": [(1, 3.0), (2, 2.0)],
    "val/mae_years": [(1, 9.0), (2, 5.0)],
}
DRAWINGS = {
    "predicted": lambda form: figures.predicted_against_age(AGE, PREDICTED, SITES, form),
    "gap": lambda form: figures.gap_against_age(AGE, PREDICTED, SITES, form),
    "error by age": lambda form: figures.error_by_age(AGE, PREDICTED, form),
    "gap by site": lambda form: figures.gap_by_site(AGE, PREDICTED, SITES, form),
    "loss": lambda form: training_figures.loss_curves(HISTORY, form),
    "validation": lambda form: training_figures.validation_curves(HISTORY, form),
    "blocks": lambda form: training_figures.block_errors({"block 1": 6.0}, form),
}


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DRAWINGS)
def test_an_svg_is_the_same_every_time(name):
    first = DRAWINGS[name]("svg")
    assert ET.fromstring(first).tag.endswith("svg")
    assert DRAWINGS[name]("svg") == first


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_png_is_not_empty(name):
    pixels = np.asarray(Image.open(io.BytesIO(DRAWINGS[name]("png"))).convert("L"))
    assert min(pixels.shape) > 200
    assert pixels.std() > 5


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("predicted", "predicted age (years)"),
        ("predicted", "chronological age (years)"),
        ("gap", "brain age gap (years)"),
        ("error by age", "mean absolute error (years)"),
        ("gap by site", "brain age gap (years)"),
        ("validation", "validation MAE (years)"),
        ("blocks", "mean absolute error (years)"),
        ("loss", "epoch"),
    ],
)
def test_axes_carry_their_units(name, unit):
    assert unit in texts(DRAWINGS[name]("svg"))


def test_every_site_is_in_the_legend_as_it_is_written():
    labels = {text.strip() for text in texts(DRAWINGS["predicted"]("svg"))}
    assert {"north", "$south$", "_west", "unknown"} <= labels


def test_the_line_through_the_gaps_is_the_least_squares_one():
    age = np.array([10.0, 20, 30, 40])
    svg = figures.gap_against_age(age, 0.75 * age + 5, ["a"] * 4)
    assert "fit: \N{MINUS SIGN}0.25 years per year" in texts(svg)


def test_one_scan_draws_without_a_line():
    svg = figures.gap_against_age(AGE[:1], PREDICTED[:1], ["a"])
    assert not any(text.startswith("fit") for text in texts(svg))


def test_blocks_come_in_the_order_of_their_numbers():
    labels = texts(DRAWINGS["loss"]("svg"))
    names = [label for label in labels if label.startswith(("block", "network"))]
    assert names == ["network", "block 2", "block 10"]


def test_a_history_without_curves_draws_none():
    assert training_figures.loss_curves({}) is None
    assert training_figures.validation_curves({"train/loss": [(1, 1.0)]}) is None


def test_drawing_leaves_the_applications_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    DRAWINGS["gap"]("svg")
    assert dict(mpl.rcParams) == before
