"""Figures of a comparison. Each returns the bytes of an SVG or PNG file, or None without data."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainage.reporting.comparison import ArmResult, Comparison, Contrast, CurvePoint
from brainage.reporting.estimates import Estimate
from brainage.reporting.figure_style import FAINT, INK, FileFormat, colour, draw, marker
from brainage.reporting.formatting import decimals

_ROW_INCHES = 0.36
_MIB = 1024**2


def errors_by_arm(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """MAE of every arm and baseline with its interval, and the single seeds as small marks."""
    rows = [
        (arm.name, arm.mae_years, arm.mae_by_seed, colour(0))
        for arm in comparison.arms
        if arm.mae_years is not None
    ]
    rows += [(each.name, each.mae_years, each.mae_by_seed, INK) for each in comparison.baselines]
    if not rows:
        return None

    def fill(axes: Axes) -> None:
        for place, (_, estimate, by_seed, ink) in enumerate(rows):
            if len(by_seed) > 1:
                axes.scatter(by_seed, [place + 0.26] * len(by_seed), s=9, color=ink, alpha=0.5)
            _estimate(axes, place, estimate, ink)
        _rows(axes, [name for name, *_ in rows])
        axes.set(xlabel="mean absolute error (years)")

    return draw(
        fill, name="errors-by-arm", file_format=file_format, size_inches=_size_of(len(rows))
    )


def differences(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """MAE of every arm minus that of the reference, paired, with intervals; left is better."""
    contrasts: Sequence[Contrast] = comparison.against_reference
    if not contrasts:
        return None

    def fill(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1, linestyle="--")
        for place, contrast in enumerate(contrasts):
            _estimate(axes, place, contrast.difference_years, colour(0))
        _rows(axes, [contrast.a for contrast in contrasts])
        axes.set(xlabel=f"MAE minus that of {comparison.reference} (years)")

    return draw(
        fill, name="differences", file_format=file_format, size_inches=_size_of(len(contrasts))
    )


def errors_by_block(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """Held-out MAE of each block's own prediction against the depth at which it is made."""
    arms = [arm for arm in comparison.arms if len(arm.block_mae_years) > 1]
    if not arms:
        return None

    def fill(axes: Axes) -> None:
        for arm in arms:
            index = comparison.arms.index(arm)
            axes.plot(
                arm.block_ends,
                arm.block_mae_years,
                color=colour(index),
                marker=marker(index),
                markersize=5,
                linewidth=1.4,
                label=arm.name,
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="stages up to the block's end", ylabel="mean absolute error (years)")
        _legend_below(axes)

    return draw(fill, name="errors-by-block", file_format=file_format, size_inches=(5.4, 5.0))


def step_times(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """Median time of a training step, in milliseconds, and the ratio to the reference."""
    return _costs(
        comparison,
        lambda arm: None if arm.cost is None else arm.cost.step_seconds * 1000,
        "time of a step (ms)",
        "step-times",
        file_format,
    )


def memory(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """Highest memory of training steps, in MiB, and the ratio to the reference."""
    return _costs(
        comparison,
        lambda arm: None if arm.cost is None else arm.cost.peak_memory_bytes / _MIB,
        "memory of training above the network at rest (MiB)",
        "memory",
        file_format,
    )


def validation_over_epochs(comparison: Comparison, file_format: FileFormat = "svg") -> bytes | None:
    """Validation MAE after each epoch, mean over seeds and folds."""
    return _curves(
        comparison, lambda point: point.epoch, "epoch", "validation-over-epochs", file_format
    )


def validation_over_seconds(
    comparison: Comparison, file_format: FileFormat = "svg"
) -> bytes | None:
    """The same against the time that training took."""
    label = "seconds of training"
    return _curves(
        comparison, lambda point: point.seconds, label, "validation-over-seconds", file_format
    )


def _curves(
    comparison: Comparison,
    along: Callable[[CurvePoint], float],
    label: str,
    name: str,
    file_format: FileFormat,
) -> bytes | None:
    arms = [(index, arm) for index, arm in enumerate(comparison.arms) if arm.curve]
    if not arms:
        return None

    def fill(axes: Axes) -> None:
        for index, arm in arms:
            axes.plot(
                [along(point) for point in arm.curve],
                [point.mae_years for point in arm.curve],
                color=colour(index),
                linewidth=2.4 if arm.name == comparison.reference else 1.4,
                linestyle="-" if index < 8 else "--",
                label=arm.name,
            )
        if label == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel=label, ylabel="validation MAE (years)")
        _legend_below(axes)

    return draw(fill, name=name, file_format=file_format, size_inches=(5.4, 5.0))


def _costs(
    comparison: Comparison,
    value_of: Callable[[ArmResult], float | None],
    label: str,
    name: str,
    file_format: FileFormat,
) -> bytes | None:
    known = [(arm.name, value) for arm in comparison.arms if (value := value_of(arm)) is not None]
    if not known:
        return None
    reference = dict(known).get(comparison.reference)

    def fill(axes: Axes) -> None:
        values = [value for _, value in known]
        bars = axes.barh(range(len(known)), values, color=colour(0), height=0.62)
        texts = [
            f"{value:.3g}" + (f"  ({decimals(value / reference)})" if reference else "")
            for value in values
        ]
        axes.bar_label(bars, texts, padding=3, fontsize=9, color=INK)
        _rows(axes, [arm for arm, _ in known])
        axes.set_xlim(0, 1.32 * max(values))
        axes.set(xlabel=label)

    return draw(fill, name=name, file_format=file_format, size_inches=_size_of(len(known)))


def _estimate(axes: Axes, place: int, estimate: Estimate, ink: str) -> None:
    """A mark with its interval and its number."""
    assert estimate.value is not None
    right = estimate.value
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place, place], color=ink, linewidth=2)
        right = estimate.high
    axes.plot([estimate.value], [place], marker="o", markersize=6, color=ink)
    axes.annotate(
        decimals(estimate.value),
        (right, place),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
    )


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)


def _size_of(num_rows: int) -> tuple[float, float]:
    return 5.6, 1.0 + _ROW_INCHES * num_rows


def _legend_below(axes: Axes) -> None:
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    legend.get_frame().set_edgecolor(FAINT)
