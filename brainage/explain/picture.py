"""One picture of an explanation: maps over the scan and the template, and what the blocks say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import SubFigure
from scipy import ndimage

from brainage.explain.blocks import BlockAnswers
from brainage.explain.maps import SaliencyMap
from brainage.preprocess.config import TEMPLATE_BRAIN_HIGH_MM, TEMPLATE_BRAIN_LOW_MM
from brainage.preprocess.state import Image, Matrix
from brainage.preprocess.template import load_template
from brainage.reporting.figure_style import INK, colour, draw

PIXEL_MM = 1.0
MARGIN_MM = 6.0
# The map is shown from its strongest hundredth down to nothing, and fades out towards zero.
TOP_PERCENTILE = 99.0
OPAQUE_FROM = 0.5
MOST_OPAQUE = 0.85
SMOOTHED_MM = 4.0
PLANES = (("x", 0), ("y", 1), ("z", 2))
METHOD_NAMES = {
    "occlusion": "Occlusion: age minus age without the cube",
    "integrated_gradients": "Integrated gradients: share of the age",
}


@dataclass(frozen=True, kw_only=True)
class Pictured:
    """What the picture shows; volumes and maps are on one grid, ``affine`` in template space."""

    title: str
    volume_XYZ: Image
    affine: Matrix
    maps: Sequence[SaliencyMap]
    networks: Sequence[tuple[str, Sequence[BlockAnswers]]]
    answer_years: float


def picture(shown: Pictured) -> bytes:
    """The PNG file."""
    rows = len(shown.maps)
    heights = [4.6] * rows + [1.1 + 0.45 * max(len(blocks) for _, blocks in shown.networks)]

    def fill(axes: Axes) -> None:
        figure = axes.get_figure(root=True)
        assert figure is not None
        axes.remove()
        figure.suptitle(shown.title, fontsize=12)
        # Of a grid with one column; squeeze=False gives an array whatever its size.
        parts = figure.subfigures(rows + 1, 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, saliency in zip(parts[:-1], shown.maps, strict=True):
            _draw_map(part, saliency, shown)
        _draw_blocks(parts[-1].subplots(), shown)

    size = (8.6, 0.5 + sum(heights))
    return draw(fill, name="explanation", file_format="png", size_inches=size)


def peak_mm(saliency: SaliencyMap, affine: Matrix) -> npt.NDArray[np.float64]:
    """Where the map is strongest once single voxels are smoothed away: template mm, (3,)."""
    sigma = SMOOTHED_MM / np.abs(np.diag(affine)[:3])
    sizes = ndimage.gaussian_filter(np.abs(saliency.values_XYZ), sigma) * saliency.mask_XYZ
    voxel = np.unravel_index(int(sizes.argmax()), sizes.shape)
    return np.asarray(affine[:3, :3] @ np.array(voxel) + affine[:3, 3], dtype=np.float64)


def _draw_map(part: SubFigure, saliency: SaliencyMap, shown: Pictured) -> None:
    """Two rows of three slices through the strongest place, and the bar of the colours."""
    template = load_template()
    place = peak_mm(saliency, shown.affine)
    sizes = np.abs(saliency.values_XYZ[saliency.mask_XYZ])
    # Of a map that is zero everywhere, any scale shows nothing.
    top = float(np.percentile(sizes, TOP_PERCENTILE)) or float(sizes.max()) or 1.0
    colours = ScalarMappable(Normalize(-top, top), colormaps["RdBu_r"])
    grid = part.subplots(2, 3)
    unders = (
        ("scan", shown.volume_XYZ, shown.affine),
        ("template", template.brain_XYZ, template.affine),
    )
    for row, (name, under_XYZ, affine) in enumerate(unders):
        window = _window(under_XYZ)
        for axes, (letter, axis) in zip(grid[row], PLANES, strict=True):
            points = _points(axis, float(place[axis]))
            grey = _sampled(under_XYZ, affine, points)
            values = _sampled(saliency.values_XYZ, shown.affine, points)
            axes.imshow(_blend(grey, window, values, top, colours), interpolation="nearest")
            axes.set_axis_off()
            where = f"{letter} = {place[axis]:.0f} mm"
            axes.set_title(f"{name}, {where}" if axis == 0 else where, fontsize=9)
    bar = part.colorbar(colours, ax=grid, shrink=0.75, extend="both", pad=0.02)
    bar.set_label(f"{saliency.unit}; red makes the brain look older", fontsize=9)
    failed = "" if saliency.sanity.passed else " (fails its sanity check: do not read it)"
    part.suptitle(METHOD_NAMES[saliency.method] + failed, fontsize=10, x=0.02, ha="left")


def _draw_blocks(axes: Axes, shown: Pictured) -> None:
    """Ages by each block's head, and by each of its workers."""
    for index, (_, blocks) in enumerate(shown.networks):
        # Networks of one model are set apart a little, so that none hides another.
        shift = 0.0 if len(shown.networks) == 1 else 0.3 * (index / (len(shown.networks) - 1) - 0.5)
        workers = [(age, each.block + shift) for each in blocks for age in each.worker_years]
        heads = [(each.head_years, each.block + shift) for each in blocks if each.head_years]
        for places, size, sign, number, name in (
            (workers, 70, "|", 0, "one worker"),
            (heads, 40, "D", 1, "block's own answer"),
        ):
            axes.scatter(
                [age for age, _ in places],
                [height for _, height in places],
                s=size,
                marker=sign,
                color=colour(number),
                label=name if index == 0 and places else None,
            )
    axes.axvline(shown.answer_years, color=INK, linewidth=1, linestyle="--", label="answer")
    numbers = sorted({block.block for _, blocks in shown.networks for block in blocks})
    axes.set_yticks(numbers, [f"block {number}" for number in numbers])
    axes.set_ylim(max(numbers) + 0.6, min(numbers) - 0.6)
    axes.set_xlabel("age (years), of the scan as it is")
    axes.margins(x=0.08)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _points(axis: int, place_mm: float) -> npt.NDArray[np.float64]:
    """Template millimetres of every pixel of a slice, (3, rows, columns); rows run downwards."""
    across, up = [other for other in range(3) if other != axis]
    low = np.array(TEMPLATE_BRAIN_LOW_MM) - MARGIN_MM
    high = np.array(TEMPLATE_BRAIN_HIGH_MM) + MARGIN_MM
    columns = np.arange(low[across], high[across], PIXEL_MM)
    rows = np.arange(low[up], high[up], PIXEL_MM)[::-1]
    points = np.empty((3, rows.size, columns.size))
    points[axis] = place_mm
    points[across], points[up] = columns[None, :], rows[:, None]
    return points


def _sampled(
    volume_XYZ: Image, affine: Matrix, points_mm: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    inverse = np.linalg.inv(affine)
    voxels = np.tensordot(inverse[:3, :3], points_mm, axes=1) + inverse[:3, 3, None, None]
    return np.asarray(ndimage.map_coordinates(volume_XYZ, voxels, order=1), dtype=np.float64)


def _window(volume_XYZ: Image) -> tuple[float, float]:
    """Values shown as black and white; the background, zero, is black."""
    inside = volume_XYZ[volume_XYZ != 0]
    low, high = (float(value) for value in np.percentile(inside, [0.5, 99.5]))
    return min(low, 0.0), high


def _blend(
    grey: npt.NDArray[np.float64],
    window: tuple[float, float],
    values: npt.NDArray[np.float64],
    top: float,
    colours: ScalarMappable,
) -> npt.NDArray[np.float64]:
    """The map over the picture, (rows, columns, 3)."""
    low, high = window
    under = np.clip((grey - low) / max(high - low, 1e-12), 0, 1)
    under = np.where(grey == 0, 0.0, under)[..., None]
    opacity = MOST_OPAQUE * np.clip(np.abs(values) / (OPAQUE_FROM * top), 0, 1)[..., None]
    over = colours.to_rgba(values)[..., :3]
    return np.asarray(under * (1 - opacity) + over * opacity, dtype=np.float64)
