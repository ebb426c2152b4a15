"""Figures of an evaluation that a training run has no data for; each returns an SVG or PNG file."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from brainage.reporting.coverage import Coverage
from brainage.reporting.estimates import Estimate
from brainage.reporting.figure_style import INK, FileFormat, colour, draw
from brainage.reporting.figures import AGE_LABEL, legend_below
from brainage.reporting.reliability import Reliability
from brainage.reporting.resampling import Floats


def bland_altman(pairs: Reliability, file_format: FileFormat = "svg") -> bytes:
    """Difference of the gaps of two scans of a subject, with limits of agreement, against age."""

    def fill(axes: Axes) -> None:
        mean_age = (pairs.first_predicted_age + pairs.second_predicted_age) / 2
        axes.axhline(0, color=INK, linewidth=1, linestyle="--", label="no difference")
        axes.scatter(
            mean_age,
            pairs.gap_difference_years,
            s=26,
            color=colour(0),
            alpha=0.8,
            linewidths=0,
            label="subject",
        )
        _level(axes, pairs.mean_difference_years, 0, "mean difference")
        _level(axes, pairs.limit_low_years, 1, "95 % limits of agreement")
        _level(axes, pairs.limit_high_years, 1, None)
        axes.set(
            xlabel="mean predicted age of the two scans (years)",
            ylabel="difference of the gaps, second scan minus first (years)",
        )
        legend_below(axes)

    return draw(fill, name="bland-altman", file_format=file_format, size_inches=(5.0, 4.8))


def age_within_subjects(
    age_years: Floats, predicted_age: Floats, subjects: Sequence[str], file_format: FileFormat
) -> bytes:
    """A line for each subject with several scans: predicted age over age."""

    def fill(axes: Axes) -> None:
        names = np.asarray(subjects, dtype=str)
        repeated = [name for name in np.unique(names) if (names == name).sum() > 1]
        shown = np.isin(names, repeated)
        ends = np.array([age_years[shown].min(), age_years[shown].max()])
        axes.plot(ends, ends, color=INK, linewidth=1, linestyle="--", label="identity")
        for index, name in enumerate(repeated):
            scans = np.flatnonzero(names == name)
            scans = scans[np.argsort(age_years[scans], kind="stable")]
            axes.plot(
                age_years[scans],
                predicted_age[scans],
                color=colour(0),
                alpha=0.7,
                linewidth=1.2,
                marker="o",
                markersize=3.5,
                label=None if index else "subject",
            )
        axes.set(xlabel=AGE_LABEL, ylabel="predicted age (years)")
        legend_below(axes)

    return draw(fill, name="age-within-subjects", file_format=file_format, size_inches=(5.0, 4.8))


def coverage_by_age(coverage: Coverage, file_format: FileFormat = "svg") -> bytes:
    """How many ages lie within their interval, for each age decade."""

    def fill(axes: Axes) -> None:
        rows = coverage.by_age
        values = [row.coverage.value or 0.0 for row in rows]
        bars = axes.bar([row.label for row in rows], values, color=colour(0), width=0.7)
        axes.bar_label(bars, [f"n = {row.n}" for row in rows], padding=2, fontsize=9, color=INK)
        if coverage.nominal is not None:
            axes.axhline(
                coverage.nominal, color=INK, linewidth=1, linestyle="--", label="as stated"
            )
            legend_below(axes)
        axes.set(xlabel=AGE_LABEL, ylabel="ages within their interval", ylim=(0, 1.1))
        axes.grid(visible=False, axis="x")

    return draw(fill, name="coverage-by-age", file_format=file_format, size_inches=(5.4, 4.4))


def _level(axes: Axes, estimate: Estimate, index: int, label: str | None) -> None:
    """A line across the axes, with its interval as a band."""
    if estimate.value is None:
        return
    axes.axhline(estimate.value, color=colour(index), linewidth=1.6, label=label)
    if estimate.low is not None and estimate.high is not None:
        axes.axhspan(estimate.low, estimate.high, color=colour(index), alpha=0.15, linewidth=0)
