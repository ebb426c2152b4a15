"""Figures of the paper's tables: a number against a setting, and curves of training.

Published values are drawn as open marks on dashed lines, measured ones as filled marks with a bar
for the standard deviation over seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from brainage.reporting.figure_style import FileFormat, colour, draw, marker

MAX_POINTS_WITH_MARKERS = 30


@dataclass(frozen=True)
class Line:
    """One line of a figure: its points, in order, with what was published there."""

    name: str
    settings: Sequence[str]
    measured: Sequence[float | None]
    sd: Sequence[float | None]
    published: Sequence[float | None]


def setting_figure(
    lines: Sequence[Line],
    *,
    name: str,
    setting: str,
    measure: str,
    file_format: FileFormat = "png",
) -> bytes:
    """Numbers against a setting, measured beside published.

    Args:
        lines: all with settings of the same kind; a line with one setting is drawn level.
        name: of the figure.
        setting: words for the horizontal axis.
        measure: words for the vertical axis, with the unit.
        file_format: ``svg`` or ``png``.
    """
    settings = list(dict.fromkeys(s for line in lines if len(line.settings) > 1
                                  for s in line.settings))  # fmt: skip

    def fill(axes: Axes) -> None:
        for place, line in enumerate(lines):
            if len(line.settings) == 1:
                _level(axes, line, place)
            else:
                _points(axes, line, place, settings)
        axes.set_xticks(range(len(settings)), settings)
        axes.set(xlabel=setting, ylabel=measure)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw(fill, name=name, file_format=file_format, size_inches=(8.2, 4.2))


def training_figure(
    curves: Sequence[tuple[str, Sequence[int], Sequence[float]]],
    *,
    name: str,
    measure: str,
    file_format: FileFormat = "png",
) -> bytes:
    """Curves over the epochs.

    Args:
        curves: each its name, epochs and values.
        name: of the figure.
        measure: words for the vertical axis, with the unit.
        file_format: ``svg`` or ``png``.
    """

    def fill(axes: Axes) -> None:
        for place, (label, epochs, values) in enumerate(curves):
            many = len(epochs) > MAX_POINTS_WITH_MARKERS
            axes.plot(
                epochs,
                values,
                color=colour(place),
                marker=None if many else marker(place),
                linestyle="-" if place < 8 else "--",
                markersize=4,
                label=label,
            )
        axes.set(xlabel="epoch", ylabel=measure)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw(fill, name=name, file_format=file_format, size_inches=(7.6, 4.2))


def _points(axes: Axes, line: Line, place: int, settings: Sequence[str]) -> None:
    at = [settings.index(setting) for setting in line.settings]
    known = [(x, y, sd or 0.0) for x, y, sd in zip(at, line.measured, line.sd, strict=True)
             if y is not None]  # fmt: skip
    if known:
        xs, ys, deviations = zip(*known, strict=True)
        axes.errorbar(
            xs, ys, yerr=deviations, color=colour(place), marker=marker(place), markersize=5,
            capsize=2.5, elinewidth=1, label=line.name,
        )  # fmt: skip
    printed = [(x, y) for x, y in zip(at, line.published, strict=True) if y is not None]
    if printed:
        xs, ys = zip(*printed, strict=True)
        axes.plot(
            xs, ys, color=colour(place), marker=marker(place), markersize=5, linestyle="--",
            linewidth=1, markerfacecolor="none", label=f"{line.name}, published",
        )  # fmt: skip


def _level(axes: Axes, line: Line, place: int) -> None:
    """A control, which has no setting, across the whole width."""
    value, published = line.measured[0], line.published[0]
    if value is not None:
        axes.axhline(value, color=colour(place), linewidth=1.4, label=line.name)
    if published is not None:
        axes.axhline(
            published, color=colour(place), linewidth=1, linestyle="--",
            label=f"{line.name}, published",
        )  # fmt: skip
