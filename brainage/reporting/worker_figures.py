"""Figures S1 and S2: the best leader of every block, and inference with some of the workers.

Everything is drawn from the result of the worker study, so that it can be drawn again without
training.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from brainage.reporting.activity_figures import activity_figure
from brainage.reporting.figure_style import INK, FileFormat, colour, marker
from brainage.reporting.picture_files import write_pngs
from brainage.reporting.study_panels import draw_panels

PART_STYLES = {"train": "--", "test": "-"}
WAYS = (
    ("all", "all workers", 0),
    ("leaders", "leaders only", 1),
    ("random, as many as lead", "as many workers, by lot", 7),
    ("followers", "followers only", 2),
    ("random, as many as follow", "as many workers, by lot", 7),
    ("oracle leaders", "leaders of each image (sees labels)", 4),
    ("oracle followers", "followers of each image (sees labels)", 5),
)
"""Ways to run a network: the name in the result, that in the figure, and the colour."""


def write_worker_figures(result: Mapping[str, Any], folder: Path, *, scale: str) -> list[Path]:
    """Write ``best_leaders.png`` (S1), ``inference.png`` (S2) and ``activity.png`` (S4).

    Args:
        result: of ``run_worker_study``.
        folder: made when needed.
        scale: ``full``, or how the experiment is reduced; stands on every figure.

    Returns:
        The files, those for which there is something to draw.
    """
    pictures = {
        "best_leaders": best_leaders_figure(result, scale),
        "inference": inference_figure(result, scale),
    }
    if result["activity"]:
        pictures["activity"] = activity_figure(result, scale)
    return write_pngs(pictures, folder)


def best_leaders_figure(
    result: Mapping[str, Any], scale: str, file_format: FileFormat = "png"
) -> bytes:
    """Accuracy and loss of every block's best leader and of the output layer over the epochs.

    Lines are means over seeds; bands, of the test images, reach one standard deviation to both
    sides.
    """
    fits = result["fits"]

    def fill(axes: list[Axes]) -> None:
        for place, layer in enumerate(fits[0]["epochs"][0]["layers"]):
            for part, style in PART_STYLES.items():
                label = f"{layer['name']}, {part}"
                for own, measure in zip(axes, ("accuracy_percent", "loss"), strict=True):
                    rows = _over_epochs(fits, place, measure, part)
                    _curve(own, rows, style=style, place=place, label=label)
        axes[0].set(xlabel="epoch", ylabel="accuracy (%)")
        axes[1].set(xlabel="epoch", ylabel="cross-entropy")
        axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    fraction = fits[0]["leader_fraction"]
    note = (
        f"{experiment(result, scale)}; {fraction:.0%} leaders.\n"
        "Best leader: the worker of a block with the lowest mean loss on the training images after "
        "the epoch. Bands: sd over seeds, test."
    )
    return draw_panels(
        fill, rows=1, columns=2, name="best-leaders", note=note, size_inches=(9.6, 4.0),
        file_format=file_format,
    )  # fmt: skip


def inference_figure(
    result: Mapping[str, Any], scale: str, file_format: FileFormat = "png"
) -> bytes:
    """Test accuracy of the network with all workers, its leaders, its followers, and by lot.

    Where workers own no channels, that of the workers' own answers together, block by block.
    """
    fits = result["fits"]
    own = fits[0]["inference"]["zeroed"]
    rows = [(label, place, [fit["inference"]["zeroed"][key] for fit in fits])
            for key, label, place in WAYS if own]  # fmt: skip
    if not own:
        rows = [
            (f"{block}: {label}", place, [fit["inference"]["together"][block][key] for fit in fits])
            for block in fits[0]["inference"]["together"]
            for key, label, place in WAYS
            if key in {"all", "leaders", "followers"}
        ]

    def fill(axes: list[Axes]) -> None:
        _bars(axes[0], rows)
        axes[0].set(xlabel="test accuracy (%)")

    what = (
        "units of the other workers are set to zero"
        if own
        else "mean probability of a block's workers, which own no units"
    )
    note = (
        f"{experiment(result, scale)}; {fits[0]['leader_fraction']:.0%} leaders; {what}.\n"
        "Leaders: lowest mean loss on the training images, unless the row says otherwise."
    )
    size = (8.6, 1.5 + 0.36 * len(rows))
    return draw_panels(
        fill, rows=1, columns=1, name="inference", note=note, size_inches=size,
        file_format=file_format,
    )  # fmt: skip


def experiment(result: Mapping[str, Any], scale: str) -> str:
    """What was trained, in few words, with the scale of the experiment."""
    recipe = result["config"]["recipe"]
    seeds = len(result["fits"])
    words = [
        f"{result['data']}, {recipe['objective']['name']}, readout {recipe['heads']['readout']}",
        f"{recipe['trainer']['epochs']} epochs, {seeds} seed{'s' if seeds > 1 else ''}",
        scale,
    ]
    return "; ".join(words)


def _over_epochs(
    fits: Sequence[Mapping[str, Any]], place: int, measure: str, part: str
) -> dict[int, list[float]]:
    """By epoch, a layer's numbers of all seeds that were trained so long."""
    found: dict[int, list[float]] = {}
    for fit in fits:
        for row in fit["epochs"]:
            found.setdefault(row["epoch"], []).append(row["layers"][place][measure][part])
    return found


def _curve(
    axes: Axes, rows: Mapping[int, Sequence[float]], *, style: str, place: int, label: str
) -> None:
    epochs, values = list(rows), list(rows.values())
    means = [statistics.fmean(own) for own in values]
    few = len(epochs) <= 20
    axes.plot(
        epochs, means, style, color=colour(place), label=label, linewidth=1.4, markersize=4,
        marker=marker(place) if few else None, markerfacecolor=None if style == "-" else "none",
    )  # fmt: skip
    if style == "-" and all(len(own) > 1 for own in values):
        sds = [statistics.stdev(own) for own in values]
        low = [mean - sd for mean, sd in zip(means, sds, strict=True)]
        high = [mean + sd for mean, sd in zip(means, sds, strict=True)]
        axes.fill_between(epochs, low, high, color=colour(place), alpha=0.15, linewidth=0)


def _bars(axes: Axes, rows: Sequence[tuple[str, int, Sequence[float]]]) -> None:
    """A bar for the mean, a point for every seed, and the numbers."""
    for place, (_, shade, values) in enumerate(rows):
        mean = statistics.fmean(values)
        axes.barh(place, mean, color=colour(shade), height=0.62, alpha=0.75)
        axes.plot(values, [place] * len(values), "o", color=INK, markersize=3)
        sd = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        axes.text(max(values), place, f"  {mean:.1f}{sd}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    axes.set_xticks(range(0, 101, 20))
    axes.grid(visible=False, axis="y")
