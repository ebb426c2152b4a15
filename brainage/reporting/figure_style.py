"""What all figures share: size, colours, and the way to bytes.

Figures are ``Figure`` objects without pyplot, so no state outlives a call. The first colours are
those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart with any colour vision and
legible on white and on black; groups differ by marker, too.
"""

import io
from collections.abc import Callable
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FileFormat = Literal["svg", "png"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8c6bb1", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# The report swaps these two for the reader's light or dark ink.
INK = "#1f2328"
FAINT = "#c8ced6"

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    # A dollar sign in a site's name is not a formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
PNG_DOTS_PER_INCH = 150


def draw(
    fill: Callable[[Axes], None],
    *,
    name: str,
    file_format: FileFormat,
    size_inches: tuple[float, float] = (5.4, 4.2),
) -> bytes:
    """Make a figure, let ``fill`` draw in its axes, and return the file.

    Args:
        fill: draws in the axes it is given.
        name: makes the ids in an SVG differ between figures, and equal between runs.
        file_format: ``svg`` (text stays text) or ``png``.
        size_inches: width and height of the figure.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size_inches, layout="constrained")
        fill(figure.subplots())
        file = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(
            file,
            format=file_format,
            dpi=PNG_DOTS_PER_INCH if file_format == "png" else "figure",
            facecolor="white" if file_format == "png" else "none",
            metadata=nothing if file_format == "svg" else None,
        )
        return file.getvalue()


def colour(index: int) -> str:
    """The colour of group ``index``, repeating after the last."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The marker of group ``index``; it repeats later than the colours do together with them."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
