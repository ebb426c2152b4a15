"""Figures about predicted ages. Each returns the bytes of an SVG or PNG file; ages in years."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from brainage.reporting.figure_style import FAINT, INK, FileFormat, colour, draw, marker
from brainage.reporting.formatting import MINUS
from brainage.reporting.groups import age_decades, in_order
from brainage.scans.record import UNKNOWN

Floats = npt.NDArray[np.float64]
Labels = Sequence[str | None]

AGE_LABEL = "chronological age (years)"
GAP_LABEL = "brain age gap (years)"
# What fits below five inches, in characters of a legend; a symbol with its margins takes nine.
MAX_NAME = 50
MAX_TICK = 20
CHARACTERS_BESIDE_EACH_OTHER = 72
SYMBOL_CHARACTERS = 9


def predicted_against_age(
    age_years: Floats, predicted_age: Floats, sites: Labels, file_format: FileFormat = "svg"
) -> bytes:
    """Predicted age against age, with the identity line, coloured by site."""

    def fill(axes: Axes) -> None:
        both = np.concatenate([age_years, predicted_age])
        margin = 0.04 * max(float(np.ptp(both)), 1.0)
        limits = (float(both.min()) - margin, float(both.max()) + margin)
        axes.plot(limits, limits, color=INK, linewidth=1, linestyle="--", label="identity")
        _scatter_by_site(axes, age_years, predicted_age, sites)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set(xlabel=AGE_LABEL, ylabel="predicted age (years)")
        legend_below(axes)

    return draw(fill, name="predicted-against-age", file_format=file_format, size_inches=(5.0, 5.2))


def gap_against_age(
    age_years: Floats, predicted_age: Floats, sites: Labels, file_format: FileFormat = "svg"
) -> bytes:
    """Gap against age with its least-squares line: the age bias, uncorrected."""

    def fill(axes: Axes) -> None:
        gap = predicted_age - age_years
        axes.axhline(0, color=INK, linewidth=1, linestyle="--", label="no gap")
        _scatter_by_site(axes, age_years, gap, sites)
        if len(gap) > 2 and np.ptp(age_years) > 0:
            slope, intercept = np.polyfit(age_years, gap, 1)
            ends = np.array([age_years.min(), age_years.max()])
            label = f"fit: {slope:+.2f} years per year".replace("-", MINUS)
            axes.plot(ends, slope * ends + intercept, color=INK, linewidth=2, label=label)
        axes.set(xlabel=AGE_LABEL, ylabel=GAP_LABEL)
        legend_below(axes)

    return draw(fill, name="gap-against-age", file_format=file_format, size_inches=(5.0, 4.8))


def error_by_age(
    age_years: Floats, predicted_age: Floats, file_format: FileFormat = "svg"
) -> bytes:
    """Mean absolute error of each age decade, with the number of scans."""

    def fill(axes: Axes) -> None:
        decades = np.asarray(age_decades(age_years))
        names = in_order(decades.tolist())
        error = np.abs(predicted_age - age_years)
        means = [float(error[decades == name].mean()) for name in names]
        bars = axes.bar(names, means, color=colour(0), width=0.7)
        counts = [f"n = {int((decades == name).sum())}" for name in names]
        axes.bar_label(bars, counts, padding=2, fontsize=9, color=INK)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        axes.set(xlabel=AGE_LABEL, ylabel="mean absolute error (years)")

    return draw(fill, name="error-by-age", file_format=file_format)


def gap_by_site(
    age_years: Floats, predicted_age: Floats, sites: Labels, file_format: FileFormat = "svg"
) -> bytes:
    """Distribution of the gap at each site: quartiles, whiskers, and every scan."""

    def fill(axes: Axes) -> None:
        gap = predicted_age - age_years
        groups = [(name, gap[members]) for name, members in _members(sites)]
        axes.axvline(0, color=INK, linewidth=1, linestyle="--")
        line = {"color": INK, "linewidth": 1.2}
        axes.boxplot(
            [values for _, values in groups],
            orientation="horizontal",
            widths=0.55,
            showfliers=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops={**line, "linewidth": 2.5},
        )
        random = np.random.default_rng(0)
        for index, (_, values) in enumerate(groups):
            height = index + 1 + random.uniform(-0.18, 0.18, len(values))
            axes.scatter(values, height, s=14, color=colour(index), alpha=0.7, linewidths=0)
        labels = [f"{_shortened(name, MAX_TICK)} (n = {len(values)})" for name, values in groups]
        axes.set_yticks(range(1, len(groups) + 1), labels)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=GAP_LABEL)

    height = 1.5 + 0.6 * len(_members(sites))
    return draw(fill, name="gap-by-site", file_format=file_format, size_inches=(5.4, height))


def _scatter_by_site(axes: Axes, x: Floats, y: Floats, sites: Labels) -> None:
    for index, (name, members) in enumerate(_members(sites)):
        axes.scatter(
            x[members],
            y[members],
            s=26,
            color=colour(index),
            marker=marker(index),
            alpha=0.8,
            linewidths=0,
            # A legend leaves out labels that start with an underscore.
            label=f" {name}" if name.startswith("_") else name,
        )


def _members(sites: Labels) -> list[tuple[str, npt.NDArray[np.intp]]]:
    names = np.asarray([UNKNOWN if site is None else site for site in sites], dtype=str)
    return [(name, np.flatnonzero(names == name)) for name in in_order(names.tolist())]


def _shortened(name: str, characters: int) -> str:
    """A name that does not push the data aside."""
    return name if len(name) <= characters else f"{name[: characters - 1]}\N{HORIZONTAL ELLIPSIS}"


def legend_below(axes: Axes) -> None:
    """The legend, out of the way of the data, in as many columns as its longest name leaves."""
    handles, labels = axes.get_legend_handles_labels()
    shown = [_shortened(name, MAX_NAME) for name in labels]
    longest = max(map(len, shown), default=0)
    legend = axes.legend(
        handles,
        shown,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=min(3, max(1, CHARACTERS_BESIDE_EACH_OTHER // (longest + SYMBOL_CHARACTERS))),
    )
    legend.get_frame().set_edgecolor(FAINT)
