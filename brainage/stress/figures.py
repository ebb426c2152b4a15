"""Figures of a stress test: every change beside its budget, and ages along doses."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from brainage.reporting.figure_style import FAINT, INK, FileFormat, colour, draw, marker
from brainage.reporting.figures import legend_below
from brainage.reporting.formatting import decimals
from brainage.reporting.report import DrawnFigure
from brainage.stress.results import DOSE_TITLES, DOSE_UNITS, DoseResponse, StressResults
from brainage.stress.row import StressRow

INCHES_PER_ROW = 0.19
MOST_IN_LEGEND = 8
LEAST_YEARS = 1.0
# The axis ends at this many of the largest budget.
EDGE_BUDGETS = 3
MOST_CHARACTERS = 24


def draw_results(results: StressResults, file_format: FileFormat) -> list[DrawnFigure]:
    """The figures that there are rows for."""
    judged = [row for row in results.changes if row.expected != "older"]
    drawn = []
    if any(row.delta_years is not None for row in judged):
        caption = (
            "Age after a change minus age before; each mark is a scan. The grey bar is the budget; "
            "inversion has none, because it should be refused or flagged. A mark at the edge lies "
            "beyond it, by the number beside it."
        )
        drawn.append(DrawnFigure("Changes of age", caption, _changes(judged, file_format)))
    responses = results.dose_responses()
    for name, title in DOSE_TITLES.items():
        shown = [each for each in responses if each.perturbation == name]
        if shown:
            caption = "Each line is a scan. Both changes mimic atrophy, so lines should rise."
            drawn.append(DrawnFigure(title, caption, _doses(shown, name, file_format)))
    return drawn


def label(row: StressRow) -> str:
    """A change in words."""
    return f"{row.perturbation.replace('_', ' ')}, {row.level}"


def _short(name: str) -> str:
    """A name that fits beside another one in a legend."""
    half = MOST_CHARACTERS // 2
    return name if len(name) <= MOST_CHARACTERS else f"{name[:half]}…{name[-half:]}"


def _changes(rows: Sequence[StressRow], file_format: FileFormat) -> bytes:
    labels = list(dict.fromkeys(label(row) for row in rows))
    budgets = {label(row): row.budget_years for row in rows}
    subjects = list(dict.fromkeys((row.scan, row.subject) for row in rows))
    # One age that went astray is not to squeeze all budgets: it stands at the edge, with a number.
    edge = EDGE_BUDGETS * max(budget or 1.0 for budget in budgets.values())

    def fill(axes: Axes) -> None:
        for place, name in enumerate(labels):
            if (budget := budgets[name]) is not None:
                axes.barh(place, 2 * budget, left=-budget, height=0.86, color=FAINT, zorder=0.5)
        for index, (scan, subject) in enumerate(subjects):
            known = [
                (row.delta_years, labels.index(label(row)))
                for row in rows
                if row.scan == scan and row.delta_years is not None
            ]
            axes.scatter(
                [max(-edge, min(edge, delta_years)) for delta_years, _ in known],
                [place for _, place in known],
                s=20,
                color=colour(index),
                marker=marker(index),
                alpha=0.85,
                linewidths=0,
                label=_short(subject) if index < MOST_IN_LEGEND else None,
            )
        for place, name in enumerate(labels):
            here = [row.delta_years or 0.0 for row in rows if label(row) == name]
            _name_beyond(axes, [each for each in here if each > edge], place, edge)
            _name_beyond(axes, [each for each in here if each < -edge], place, -edge)
        axes.axvline(0, color=INK, linewidth=1)
        for place, name in enumerate(labels):
            refused = sum(label(row) == name and row.verdict == "refused" for row in rows)
            if refused:
                axes.annotate(
                    f" {refused} refused",
                    (1, place),
                    xycoords=("axes fraction", "data"),
                    va="center",
                    fontsize=8,
                )
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.set(xlabel="change of age (years)", ylim=(len(labels) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=2, fontsize=8, borderaxespad=0.3
        )

    height = 1.3 + INCHES_PER_ROW * len(labels) + 0.1 * min(len(subjects), MOST_IN_LEGEND)
    return draw(fill, name="stress", file_format=file_format, size_inches=(5.8, height))


def _name_beyond(axes: Axes, deltas_years: Sequence[float], place: int, edge: float) -> None:
    """The numbers of marks beyond one end of the axis, between the marks and the middle."""
    axes.annotate(
        ", ".join(decimals(each, 1) for each in deltas_years),
        (edge, place),
        xytext=(-6 if edge > 0 else 6, 0),
        textcoords="offset points",
        ha="right" if edge > 0 else "left",
        va="center",
        fontsize=8,
    )


def _doses(responses: Sequence[DoseResponse], name: str, file_format: FileFormat) -> bytes:
    def fill(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=1, linestyle="--")
        for index, each in enumerate(responses):
            axes.plot(
                each.doses,
                each.delta_years,
                color=colour(index),
                marker=marker(index),
                markersize=5,
                linewidth=1.6,
                label=_short(each.subject) if index < MOST_IN_LEGEND else None,
            )
        axes.set(
            xlabel=f"{DOSE_TITLES[name].lower()} ({DOSE_UNITS[name]})",
            ylabel="change of age (years)",
        )
        # Tenths of a year are not to look like an effect.
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -LEAST_YEARS), max(high, LEAST_YEARS))
        legend_below(axes)

    return draw(fill, name=f"stress-{name}", file_format=file_format, size_inches=(5.2, 4.6))
