"""Figures S9 to S11: pictures along the Hilbert curve, spectra, leaders against complexity.

Everything is drawn from the results of the studies, so that it can be drawn again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from brainage.reporting.figure_style import INK, FileFormat, colour
from brainage.reporting.picture_files import write_pngs
from brainage.reporting.study_panels import draw_panels

MAX_NAMED_CLASSES = 20


def write_complexity_figures(result: Mapping[str, Any], folder: Path, *, scale: str) -> list[Path]:
    """Write ``hilbert.png`` (S9), ``spectra.png`` (S10) and ``choices.png``, what S10 depends on.

    Args:
        result: of ``run_complexity_study``.
        folder: made when needed.
        scale: ``full``, or how the experiment is reduced; stands on every figure.
    """
    pictures = {
        "hilbert": hilbert_figure(result, scale),
        "spectra": spectra_figure(result, scale),
        "choices": choices_figure(result, scale),
    }
    return write_pngs(pictures, folder)


def hilbert_figure(result: Mapping[str, Any], scale: str, file_format: FileFormat = "png") -> bytes:
    """One grey picture of every set, and its intensities along the Hilbert curve."""
    sets = result["sets"]

    def fill(axes: list[Axes]) -> None:
        for place, (row, left, right) in enumerate(zip(sets, axes[::2], axes[1::2], strict=True)):
            picture = row["picture"]
            left.imshow(picture["grey"], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            left.set_axis_off()
            left.set_title(f"{row['data']}: {picture['class']}", loc="left", fontsize=9)
            right.plot(picture["sequence"], color=colour(place), linewidth=0.5)
            right.set(ylim=(0, 260), xlim=(0, len(picture["sequence"])), ylabel="intensity")
            side = 2 ** picture["order"]
            text = f"order {picture['order']}: {side} x {side} cells along the curve"
            right.set_title(text, loc="left", fontsize=9)
        axes[-1].set(xlabel="place along the Hilbert curve")

    note = f"One image of each set; {scale}."
    return draw_panels(
        fill, rows=len(sets), columns=2, name="hilbert", note=note, widths=(1, 4),
        size_inches=(9.0, 0.5 + 1.8 * len(sets)), file_format=file_format,
    )  # fmt: skip


def spectra_figure(result: Mapping[str, Any], scale: str, file_format: FileFormat = "png") -> bytes:
    """Widths of the spectra with their standard deviation over images, and the mean spectra."""
    sets, config = result["sets"], result["config"]

    def fill(axes: list[Axes]) -> None:
        for place, row in enumerate(sets):
            width = row["heterogeneity"]
            axes[0].bar(
                place, width["mean"], yerr=width["sd"], color=colour(place), width=0.6,
                alpha=0.75, capsize=3, ecolor=INK,
            )  # fmt: skip
            text = f"{width['mean']:.2f} ± {width['sd']:.2f}"
            axes[0].text(
                place, width["mean"] + width["sd"], f"{text}\n", ha="center", va="center",
                fontsize=9,
            )  # fmt: skip
            spectrum = row["spectrum"]
            axes[1].plot(spectrum["alpha"], spectrum["f"], color=colour(place), label=row["data"])
        names = [f"{row['data']}\n{row['images']} images" for row in sets]
        axes[0].set_xticks(range(len(sets)), names, fontsize=9)
        axes[0].set_ylim(bottom=0)
        axes[0].margins(y=0.12)
        axes[0].grid(visible=False, axis="x")
        axes[0].set(ylabel="width w of the spectrum")
        axes[1].set(xlabel="alpha (Lipschitz-Hölder exponent)", ylabel="f(alpha)")
        axes[1].legend(loc="lower left")

    note = (
        f"Order {config['order']}, resize {config['resize']}, mass {config['mass']}, moments to "
        f"{config['largest_moment']:g}; bars: mean and sd over images; curves: mean over images, "
        f"cubic spline; {scale}.\n{copies(sets)}"
    )
    return draw_panels(
        fill, rows=1, columns=2, name="spectra", note=note, size_inches=(9.6, 4.4),
        file_format=file_format,
    )  # fmt: skip


def choices_figure(result: Mapping[str, Any], scale: str, file_format: FileFormat = "png") -> bytes:
    """Width of every set under each alternative choice: does the order of the sets depend on it?"""
    main = {row["data"]: row for row in result["sets"]}
    rows = [("as in the figure of spectra", main)]
    rows += [(each["name"], each["sets"]) for each in result["alternatives"]]

    def fill(axes: list[Axes]) -> None:
        for place, name in enumerate(main):
            for own, measure in zip(axes, ("heterogeneity", "irregularity"), strict=True):
                values = [sets[name][measure]["mean"] for _, sets in rows]
                own.plot(values, range(len(rows)), "o", color=colour(place), label=name,
                         markersize=5)  # fmt: skip
        for own in axes:
            own.set_yticks(range(len(rows)), [name for name, _ in rows])
            own.invert_yaxis()
        axes[0].set(xlabel="width w (mean over images)")
        axes[1].set(xlabel="alpha at the top (mean over images)")
        axes[1].tick_params(labelleft=False)
        axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    note = f"Each row changes one choice; {scale}.\n{copies(result['sets'])}"
    return draw_panels(
        fill, rows=1, columns=2, name="choices", note=note,
        size_inches=(10.4, 1.6 + 0.3 * len(rows)), file_format=file_format,
    )  # fmt: skip


def leaders_figure(result: Mapping[str, Any], scale: str, file_format: FileFormat = "png") -> bytes:
    """Leaders with the least validation error against the complexity of every class.

    Args:
        result: of ``run_leader_complexity``.
        scale: of the experiment.
        file_format: ``svg`` or ``png``.
    """
    rows = result["classes"]
    found = result["correlation"]

    def fill(axes: list[Axes]) -> None:
        own = axes[0]
        own.plot(
            [row["complexity"] for row in rows], [row["leaders"] for row in rows], "o",
            color=colour(0), markersize=5, alpha=0.7,
        )  # fmt: skip
        if len(rows) <= MAX_NAMED_CLASSES:
            for row in rows:
                own.annotate(
                    row["name"], (row["complexity"], row["leaders"]), xytext=(4, 4),
                    textcoords="offset points", fontsize=8,
                )  # fmt: skip
        own.margins(0.1)
        own.set_ylim(bottom=0)
        own.set(
            xlabel="complexity of the class: mean width w of its images' spectra",
            ylabel="leaders with the least validation error",
        )
        own.set_title(correlation_words(found), loc="left")

    workers = result["config"]["num_lf_workers"]
    fractions = ", ".join(f"{each:.0%}" for each in result["fractions"])
    note = (
        f"{result['data']}, {workers} workers a block; fractions tried: {fractions}; "
        f"{result['seeds']} seed{'s' if result['seeds'] > 1 else ''}; "
        f"ties go to the fewest leaders; {scale}."
    )
    return draw_panels(
        fill, rows=1, columns=1, name="leaders", note=note, size_inches=(6.8, 4.8),
        file_format=file_format,
    )  # fmt: skip


def correlation_words(found: Mapping[str, Any]) -> str:
    """Spearman's correlation with its interval and p, in words."""
    if found["spearman"] is None:
        return f"no correlation: all {found['classes']} classes are alike on one side"
    return (
        f"Spearman {found['spearman']:.2f} ({found['low']:.2f} to {found['high']:.2f}), "
        f"p = {found['p_permutation']:.3f}, {found['classes']} classes"
    )


def copies(sets: Sequence[Mapping[str, Any]]) -> str:
    """Which copy of each set was measured."""
    return "\n".join(f"{row['data']}: {row['note']}." for row in sets)
