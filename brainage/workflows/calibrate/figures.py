"""Figures of a calibration; each returns an SVG or PNG file."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from brainage.bundle.age_line import AgeLine
from brainage.reporting.figure_style import INK, FileFormat, colour, draw, marker
from brainage.reporting.figures import AGE_LABEL, GAP_LABEL, legend_below
from brainage.workflows.calibrate.controls import Controls, Floats


def prediction_line(controls: Controls, line: AgeLine, file_format: FileFormat) -> bytes:
    """Predicted age over age with the fitted line."""
    age, predicted = controls.age_years, controls.predicted_age

    def fill(axes: Axes) -> None:
        ends = np.array([age.min(), age.max()])
        both = np.array([min(age.min(), predicted.min()), max(age.max(), predicted.max())])
        axes.plot(both, both, color=INK, linewidth=1, linestyle="--", label="identity")
        axes.plot(
            ends, line.slope * ends + line.intercept_years, color=colour(1), linewidth=2,
            label="line of these people",
        )  # fmt: skip
        axes.scatter(age, predicted, s=26, color=colour(0), alpha=0.8, linewidths=0, label="person")
        axes.set(xlabel=AGE_LABEL, ylabel="predicted age, raw (years)")
        legend_below(axes)

    return draw(fill, name="calibration-line", file_format=file_format, size_inches=(5.0, 4.8))


def gaps_before_and_after(
    age_years: Floats, predicted: Mapping[str, Floats], file_format: FileFormat
) -> bytes:
    """The gap over age of every way to give ages."""

    def fill(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=1, linestyle="--")
        for number, (name, ages) in enumerate(predicted.items()):
            axes.scatter(
                age_years, ages - age_years, s=24, color=colour(number), marker=marker(number),
                alpha=0.75, linewidths=0, label=name,
            )  # fmt: skip
        axes.set(xlabel=AGE_LABEL, ylabel=GAP_LABEL)
        legend_below(axes)

    return draw(fill, name="calibration-gaps", file_format=file_format, size_inches=(5.4, 5.2))
