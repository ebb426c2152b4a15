"""Figures about training: curves over the epochs and the accuracy of each block."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainage.reporting.figure_style import INK, FileFormat, colour, draw, marker

History = Mapping[str, Sequence[tuple[int, float]]]
"""Metric name -> (epoch from 0, value), in the order of the epochs."""

# Every epoch gets a marker up to here; beyond, markers would hide the line.
MAX_EPOCHS_WITH_MARKERS = 40


def training_curves(history: History, file_format: FileFormat = "svg") -> bytes | None:
    """Training loss and validation MAE over the epochs, of the network and of each block.

    Returns:
        None when the history has neither.
    """
    losses = _curves(history, "train", "loss")
    errors = _curves(history, "val", "mae_years")
    panels = [
        (curves, label)
        for curves, label in ((losses, "training loss"), (errors, "validation MAE (years)"))
        if curves
    ]
    if not panels:
        return None

    def fill(all_axes: Sequence[Axes]) -> None:
        for axes, (curves, label) in zip(all_axes, panels, strict=True):
            for index, (name, points) in enumerate(curves):
                _curve(axes, name, points, index)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(xlabel="epoch", ylabel=label)
            axes.legend(loc="best")

    return draw(
        fill,
        name="training-curves",
        file_format=file_format,
        num_panels=len(panels),
        size_inches=(4.6 * len(panels), 3.8),
    )


def block_errors(block_mae_years: Mapping[str, float], file_format: FileFormat = "svg") -> bytes:
    """Held-out mean absolute error of each block's own prediction, in years."""

    def fill(panels: Sequence[Axes]) -> None:
        axes = panels[0]
        values = list(block_mae_years.values())
        bars = axes.bar(list(block_mae_years), values, color=colour(0), width=0.6)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=9, color=INK)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        axes.set(ylabel="mean absolute error (years)")

    return draw(fill, name="block-errors", file_format=file_format)


def _curves(
    history: History, part: str, quantity: str
) -> list[tuple[str, Sequence[tuple[int, float]]]]:
    """The network's curve and then the blocks', in the blocks' order."""
    whole = history.get(f"{part}/{quantity}", ())
    blocks: dict[int, Sequence[tuple[int, float]]] = {}
    for name, points in history.items():
        match = re.fullmatch(rf"{part}/block(\d+)/{quantity}", name)
        if match and points:
            blocks[int(match[1])] = points
    curves = [("network", whole)] if whole else []
    return curves + [(f"block {number}", blocks[number]) for number in sorted(blocks)]


def _curve(axes: Axes, name: str, points: Sequence[tuple[int, float]], index: int) -> None:
    is_network = name == "network"
    axes.plot(
        [epoch + 1 for epoch, _ in points],
        [value for _, value in points],
        color=INK if is_network else colour(index - 1),
        linewidth=2.2 if is_network else 1.3,
        marker=marker(index) if len(points) <= MAX_EPOCHS_WITH_MARKERS else None,
        markersize=3.5,
        label=name,
    )
