import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from brainage.reporting import table_figures
from brainage.reporting.table_figures import Line, setting_figure, training_figure

SWEPT = Line("local", ["10%", "50%", "100%"], [4.0, None, 2.0], [0.5, None, None], [5.0, 3.0, None])
LEVEL = Line("bp", [""], [1.5], [0.1], [1.25])
CURVES = [("bp", [1, 2, 3], [50.0, 70.0, 80.0]), ("local", list(range(1, 41)), [60.0] * 40)]


def settings(file_format="png", lines=(SWEPT, LEVEL)):
    return setting_figure(
        lines, name="x", setting="leaders", measure="error (%)", file_format=file_format
    )


def training(file_format="png"):
    return training_figure(CURVES, name="x", measure="accuracy (%)", file_format=file_format)


def texts(svg):
    root = ET.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture
def axes(monkeypatch):
    """Where a figure is drawn, to look at its lines."""
    axes = Figure().subplots()
    monkeypatch.setattr(table_figures, "draw", lambda fill, **options: fill(axes))
    return axes


def drawn(axes):
    """Points by the name of the line in the legend."""
    handles, labels = axes.get_legend_handles_labels()
    lines = [handle[0] if isinstance(handle, tuple) else handle for handle in handles]
    return {
        label: (list(line.get_xdata()), list(line.get_ydata()))
        for label, line in zip(labels, lines, strict=True)
    }


@pytest.mark.parametrize("figure", [settings, training])
def test_a_figure_is_a_png_with_something_on_it(figure):
    picture = Image.open(io.BytesIO(figure()))
    assert picture.format == "PNG"
    pixels = np.asarray(picture.convert("L"))
    assert min(pixels.shape) > 200
    assert pixels.std() > 5


@pytest.mark.parametrize("figure", [settings, training])
def test_a_figure_is_the_same_every_time(figure):
    assert figure("svg") == figure("svg")


def test_axes_and_lines_are_named():
    words = texts(settings("svg"))
    assert words[:3] == ["10%", "50%", "100%"]
    assert {"leaders", "error (%)", "local", "local, published", "bp", "bp, published"} <= set(
        words
    )
    assert {"epoch", "accuracy (%)", "bp", "local"} <= set(texts(training("svg")))


def test_measured_and_published_values_are_lines_of_their_own_where_they_are_known(axes):
    settings()
    assert drawn(axes) == {
        "local": ([0, 2], [4.0, 2.0]),
        "local, published": ([0, 1], [5.0, 3.0]),
        "bp": ([0, 1], [1.5, 1.5]),
        "bp, published": ([0, 1], [1.25, 1.25]),
    }


def test_published_values_look_unlike_measured_ones(axes):
    settings()
    handles, labels = axes.get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    published, measured = found["local, published"], found["local"][0]
    assert (published.get_linestyle(), measured.get_linestyle()) == ("--", "-")
    assert published.get_markerfacecolor() == "none" != measured.get_markerfacecolor()
    assert (found["bp, published"].get_linestyle(), found["bp"].get_linestyle()) == ("--", "-")


def test_bars_are_the_standard_deviation(axes):
    settings()
    (bars,) = axes.containers
    (segments,) = [bar.get_segments() for bar in bars[2]]
    assert [segment[:, 1].tolist() for segment in segments] == [[3.5, 4.5], [2.0, 2.0]]


def test_nothing_is_drawn_of_what_was_neither_measured_nor_published(axes):
    settings(
        lines=[SWEPT, Line("gone", ["10%", "50%", "100%"], [None] * 3, [None] * 3, [None] * 3)]
    )
    assert set(drawn(axes)) == {"local", "local, published"}


def test_curves_have_their_epochs_and_values(axes):
    training()
    assert drawn(axes) == {name: (epochs, values) for name, epochs, values in CURVES}
    short, long = axes.get_lines()
    assert (short.get_marker() != "None", long.get_marker()) == (True, "None")
