"""Figures of a panel of training methods: test errors, and validation errors over the epochs."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from brainage.reporting.figure_style import INK, FileFormat, colour, draw, marker

MAX_EPOCHS_WITH_MARKERS = 20
_LABELLED = (1.0, 2.0, 5.0)


class Fit(Protocol):
    """What is drawn of one fit."""

    @property
    def method(self) -> str:
        """Its group."""

    @property
    def test_error_percent(self) -> float | None:
        """Error on test images."""

    @property
    def history(self) -> list[dict[str, float]]:
        """For every epoch its number and ``val/accuracy``."""


def panel_figures(fits: Sequence[Fit], phases: Mapping[str, int] | None = None) -> dict[str, bytes]:
    """``test_error`` and ``validation_error`` as PNG, as far as there is something to draw.

    Args:
        fits: of all methods and seeds.
        phases: by method, how often it has all epochs; once where it is not named.
    """
    pictures = {
        "test_error": error_bars(fits),
        "validation_error": error_curves(fits, phases or {}),
    }
    return {name: picture for name, picture in pictures.items() if picture is not None}


def error_bars(fits: Sequence[Fit], file_format: FileFormat = "png") -> bytes | None:
    """Test error of every method: a bar for the mean, a point for every seed."""
    errors: dict[str, list[float]] = defaultdict(list)
    for fit in fits:
        if fit.test_error_percent is not None:
            errors[fit.method].append(fit.test_error_percent)
    if not errors:
        return None

    def fill(axes: Axes) -> None:
        for place, values in enumerate(errors.values()):
            axes.barh(place, statistics.mean(values), color=colour(0), height=0.6, alpha=0.75)
            axes.plot(values, [place] * len(values), "o", color=INK, markersize=3.5)
            axes.text(
                max(values), place, f"  {statistics.mean(values):.2f}", va="center", fontsize=9
            )
        axes.set_yticks(range(len(errors)), list(errors))
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="test error (%)")

    size = (6.4, 1.2 + 0.36 * len(errors))
    return draw(fill, name="panel-errors", file_format=file_format, size_inches=size)


def error_curves(
    fits: Sequence[Fit], phases: Mapping[str, int], file_format: FileFormat = "png"
) -> bytes | None:
    """Validation error over the epochs: the mean over seeds of every method.

    A method that trains block after block has as many epochs for each, and its network answers by
    chance until the last one is trained: only the epochs of that block are drawn.
    """
    curves = _mean_errors(fits)
    if not curves:
        return None

    def fill(axes: Axes) -> None:
        for place, (method, by_epoch) in enumerate(curves.items()):
            parts = phases.get(method, 1)
            before = max(by_epoch) * (parts - 1) // parts
            epochs = sorted(epoch for epoch in by_epoch if epoch > before)
            many = len(epochs) > MAX_EPOCHS_WITH_MARKERS
            axes.plot(
                [epoch - before for epoch in epochs],
                [by_epoch[epoch] for epoch in epochs],
                color=colour(place),
                marker=None if many else marker(place),
                linestyle="-" if place < 8 else "--",
                markersize=4,
                label=f"{method}, last block" if before else method,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=_LABELLED))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set(xlabel="epoch", ylabel="validation error (%)")

    return draw(fill, name="panel-curves", file_format=file_format, size_inches=(7.6, 4.2))


def _mean_errors(fits: Sequence[Fit]) -> dict[str, dict[int, float]]:
    """By method and epoch: the validation error in per cent."""
    points: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for fit in fits:
        for entry in fit.history:
            if "val/accuracy" in entry:
                error = 100 * (1 - entry["val/accuracy"])
                points[fit.method][int(entry["epoch"])].append(error)
    return {
        method: {epoch: statistics.mean(errors) for epoch, errors in by_epoch.items()}
        for method, by_epoch in points.items()
    }
