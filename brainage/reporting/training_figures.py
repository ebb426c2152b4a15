"""Figures about training: curves over the epochs and the accuracy of each block."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainage.reporting.figure_style import INK, FileFormat, colour, draw, marker

Points = Sequence[tuple[int, float]]
History = Mapping[str, Points]
"""Metric name -> (epochs finished, value), in the order of the epochs."""

# Every epoch gets a marker up to here; beyond, markers would hide the line.
MAX_EPOCHS_WITH_MARKERS = 40


def loss_curves(history: History, file_format: FileFormat = "svg") -> bytes | None:
    """Training loss over the epochs, of the network and of each block; None without any."""
    curves = _curves(history, "train", "loss")
    return _draw_curves(curves, "training loss", "loss-curves", file_format)


def validation_curves(history: History, file_format: FileFormat = "svg") -> bytes | None:
    """Validation error over the epochs, of the network and of each block; None without any."""
    curves = _curves(history, "val", "mae_years")
    return _draw_curves(curves, "validation MAE (years)", "validation-curves", file_format)


def block_errors(block_mae_years: Mapping[str, float], file_format: FileFormat = "svg") -> bytes:
    """Held-out mean absolute error of each block's own prediction, in years."""

    def fill(axes: Axes) -> None:
        values = list(block_mae_years.values())
        bars = axes.bar(list(block_mae_years), values, color=colour(0), width=0.6)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=9, color=INK)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        axes.set(ylabel="mean absolute error (years)")

    return draw(fill, name="block-errors", file_format=file_format)


def _curves(history: History, part: str, quantity: str) -> list[tuple[str, Points]]:
    """The network's curve and then the blocks', in the blocks' order."""
    whole = history.get(f"{part}/{quantity}", ())
    blocks: dict[int, Points] = {}
    for name, points in history.items():
        match = re.fullmatch(rf"{part}/block(\d+)/{quantity}", name)
        if match and points:
            blocks[int(match[1])] = points
    curves = [("network", whole)] if whole else []
    return curves + [(f"block {number}", blocks[number]) for number in sorted(blocks)]


def _draw_curves(
    curves: Sequence[tuple[str, Points]], label: str, name: str, file_format: FileFormat
) -> bytes | None:
    if not curves:
        return None

    def fill(axes: Axes) -> None:
        for index, (curve, points) in enumerate(curves):
            _curve(axes, curve, points, index)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=label)
        axes.legend(loc="best")

    return draw(fill, name=name, file_format=file_format)


def _curve(axes: Axes, name: str, points: Points, index: int) -> None:
    is_network = name == "network"
    axes.plot(
        [epoch for epoch, _ in points],
        [value for _, value in points],
        color=INK if is_network else colour(index - 1),
        linewidth=2.2 if is_network else 1.3,
        marker=marker(index) if len(points) <= MAX_EPOCHS_WITH_MARKERS else None,
        markersize=3.5,
        label=name,
    )
