"""Figure S4: what updates do to workers, whether followers move as one, and Vicsek's particles."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from brainage.reporting.figure_style import INK, FileFormat, colour
from brainage.reporting.study_panels import draw_panels

SMOOTHED_STEPS = 25
"""Steps of the running mean of the cosines."""
MOST_DRAWN = 200
"""Steps whose lines are told apart in a window; more would be a band of ink."""
LEADER = colour(1)


def activity_figure(
    result: Mapping[str, Any],
    scale: str,
    file_format: FileFormat = "png",
    *,
    block: str | None = None,
    space: str = "outputs",
) -> bytes:
    """Activity of the first seed's workers, the unison of all seeds' followers, and a flock.

    Args:
        result: of the worker study, with activity.
        scale: of the experiment.
        file_format: ``svg`` or ``png``.
        block: whose workers, like ``block 1``; the last one with workers by default.
        space: ``outputs`` or ``probabilities``, of the cosines.
    """
    fits, control = result["activity"], result["activity_control"]
    blocks = [key for key in fits[0]["windows"]["first"] if key != "steps"]
    chosen = block or blocks[-1]

    def fill(axes: list[Axes]) -> None:
        windows = fits[0]["windows"]
        _lines(axes[0], windows["first"], chosen, "a  from the start", slice(MOST_DRAWN))
        if "later" in windows:
            _lines(axes[1], windows["later"], chosen, "b  to the end", slice(-MOST_DRAWN, None))
            reach = max(abs(y) for own in axes[:2] for y in own.get_ylim())
            for own in axes[:2]:
                own.set_ylim(-reach, reach)
        else:
            axes[1].set_axis_off()
        _unison(axes[2], fits, control, chosen, space)
        _flock(axes[3], result["vicsek"])

    fraction = fits[0]["leader_fraction"]
    recipe = result["config"]["recipe"]
    note = (
        f"{result['data']}, {recipe['objective']['name']}, readout {recipe['heads']['readout']}, "
        f"{fraction:.0%} leaders, {chosen}; {recipe['trainer']['epochs']} epochs; {scale}.\n"
        "Activity: a worker's output after an update less that before, same batch and inputs; a, b:"
        " mean over samples and outputs, one seed.\n"
        f"c: mean cosine of pairs for each sample, {space}, running mean over {SMOOTHED_STEPS}"
        f" recorded steps, mean of {len(fits)} seed{'s' if len(fits) > 1 else ''}."
    )
    return draw_panels(
        fill, rows=2, columns=2, name="activity", note=note, size_inches=(10.4, 7.6),
        file_format=file_format,
    )  # fmt: skip


def _lines(axes: Axes, window: Mapping[str, Any], block: str, title: str, drawn: slice) -> None:
    """A line for every worker: dark where it follows, red where it leads."""
    steps = window["steps"][drawn]
    activity = window[block]["activity"][drawn]
    leaders = [set(own) for own in window[block]["leaders"][drawn]]
    for worker in range(len(activity[0])):
        own = [row[worker] for row in activity]
        axes.plot(steps, own, color=INK, linewidth=0.5, alpha=0.45)
    points = [(step, row[worker]) for step, row, lead in zip(steps, activity, leaders, strict=True)
              for worker in sorted(lead)]  # fmt: skip
    axes.plot(*zip(*points, strict=True), ".", color=LEADER, markersize=1.5, alpha=0.8)
    axes.plot([], [], color=INK, linewidth=1, label="a worker")
    axes.plot([], [], ".", color=LEADER, label="leads on the batch")
    axes.legend(loc="upper right", ncols=2)
    axes.set_title(f"{title}: steps {steps[0]} to {steps[-1]}", loc="left")
    axes.set(xlabel="step", ylabel="activity")


def _unison(
    axes: Axes,
    fits: Sequence[Mapping[str, Any]],
    control: Sequence[Mapping[str, Any]],
    block: str,
    space: str,
) -> None:
    """Cosines over the steps of all windows, a gap between them."""
    shown = [
        ("followers", "two followers", fits, colour(0), "-"),
        ("leaders", "two leaders", fits, colour(1), "-"),
        ("followers_shuffled", "two followers, other images", fits, colour(5), ":"),
    ]
    if control:
        shown.append(("followers", "same roles, but all trained to lead", control, INK, "--"))
    for name, label, own, shade, style in shown:
        for window in own[0]["windows"]:
            values = _mean_series(own, window, block, space, name)
            steps = own[0]["windows"][window]["steps"]
            text = label if window == "first" else None
            axes.plot(steps, _smoothed(values), style, color=shade, linewidth=1.3, label=text)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylim(-0.1, 1.35)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_title("c  do followers move as one? (1: all the same way, 0: chance)", loc="left")
    axes.set(xlabel="step", ylabel="mean cosine of two activities")
    axes.legend(loc="upper left", ncols=2, fontsize=8)


def _mean_series(
    fits: Sequence[Mapping[str, Any]], window: str, block: str, space: str, name: str
) -> list[float]:
    """Mean over seeds, step by step; NaN where no seed has a number."""
    rows = [fit["windows"][window][block]["series"][space][name]
            for fit in fits if window in fit["windows"]]  # fmt: skip
    means = []
    for values in zip(*rows, strict=False):
        known = [value for value in values if value is not None]
        means.append(statistics.fmean(known) if known else math.nan)
    return means


def _smoothed(values: Sequence[float]) -> list[float]:
    """Running mean, shorter at the ends, over the numbers that are known."""
    half = SMOOTHED_STEPS // 2
    means = []
    for place in range(len(values)):
        near = values[max(0, place - half) : place + half + 1]
        known = [value for value in near if not math.isnan(value)]
        means.append(statistics.fmean(known) if known else math.nan)
    return means


def _flock(axes: Axes, flock: Mapping[str, Any]) -> None:
    """The particles at the end as arrows."""
    places, headings = flock["last"]["places"], flock["last"]["headings"]
    axes.quiver(
        [x for x, _ in places],
        [y for _, y in places],
        [math.cos(angle) for angle in headings],
        [math.sin(angle) for angle in headings],
        color=INK,
        scale=26,
        width=0.003,
    )
    side = flock["box_size"]
    axes.set(xlim=(0, side), ylim=(0, side), aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_title(
        f"d  Vicsek model, {flock['num_particles']} particles, noise {flock['noise']:g}:\n"
        f"     order {flock['order'][0]:.2f} at the start, {flock['order'][-1]:.2f} after "
        f"{len(flock['order']) - 1} steps",
        loc="left",
        fontsize=10,
    )
