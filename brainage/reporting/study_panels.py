"""Several pictures in one figure of the house style."""

import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from brainage.reporting.figure_style import INK, FileFormat, draw

NOTE_LETTERS_PER_INCH = 16


def draw_panels(
    fill: Callable[[list[Axes]], None],
    *,
    rows: int,
    columns: int,
    name: str,
    note: str,
    size_inches: tuple[float, float],
    file_format: FileFormat = "png",
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
) -> bytes:
    """Make a figure of ``rows`` x ``columns`` pictures and return the file.

    Args:
        fill: draws in the axes it is given, row after row.
        rows: of pictures.
        columns: of pictures.
        name: of the figure.
        note: what was measured and on what scale; stands below the pictures, its lines broken
            where they are too long.
        size_inches: width and height of the figure.
        file_format: ``svg`` or ``png``.
        heights: of the rows, relative to one another.
        widths: of the columns, relative to one another.
    """

    def cut(axes: Axes) -> None:
        figure = axes.figure
        axes.remove()
        grid = figure.subplots(
            rows, columns, squeeze=False, height_ratios=heights, width_ratios=widths
        )
        fill([each for row in grid for each in row])
        width = int(NOTE_LETTERS_PER_INCH * size_inches[0])
        lines = [textwrap.fill(line, width) for line in note.splitlines()]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8, color=INK)

    return draw(cut, name=name, file_format=file_format, size_inches=size_inches)
