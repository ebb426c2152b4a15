"""Small pictures of a changed scan, where the untouched one's registration has the brain."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from brainage.scans.nifti import Scan
from brainage.stress.head import Head

Picture = npt.NDArray[np.uint8]

PIXEL_MM = 2.0
LOW_MM = (-92.0, -128.0, -120.0)
HIGH_MM = (92.0, 112.0, 100.0)
# One sagittal slice, of the whole head, and one axial slice through the lateral ventricles.
SLICES_MM = ((0, 3.0), (2, 16.0))
NUM_COLUMNS = 4
LABEL_HEIGHT = 16


def show(head: Head, changed: Scan) -> Picture:
    """A sagittal and an axial slice side by side, (rows, columns), bright by the scan's own values.

    Slices lie where the untouched head has the middle and the ventricles, so a head that is
    turned or shifted is shown turned or shifted.
    """
    to_voxels = np.linalg.inv(np.asarray(head.scan_to_template @ changed.affine, np.float64))
    tiles = [_slice(changed, to_voxels, axis, place) for axis, place in SLICES_MM]
    height = max(tile.shape[0] for tile in tiles)
    values = np.concatenate([_padded(tile, height) for tile in tiles], axis=1)
    shown = values[np.isfinite(values)]
    low, high = np.quantile(shown, [0.01, 0.995]) if shown.size else (0.0, 1.0)
    grey = np.clip((values - low) / max(float(high - low), 1e-12) * 255, 0, 255)
    return np.asarray(np.nan_to_num(grey), dtype=np.uint8)


def jpeg(picture: Picture) -> bytes:
    """A picture as a file of a few kB."""
    file = io.BytesIO()
    PillowImage.fromarray(picture).save(file, format="JPEG", quality=75, optimize=True)
    return file.getvalue()


def contact_sheet(pictures: Sequence[tuple[str, Picture]]) -> bytes:
    """Labelled pictures in rows, as a PNG file."""
    # The font that matplotlib ships has every sign of a label.
    font = ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size=11)
    tiles = []
    for label, picture in pictures:
        tile = PillowImage.new("L", (picture.shape[1] + 4, picture.shape[0] + LABEL_HEIGHT + 4))
        tile.paste(PillowImage.fromarray(picture), (2, LABEL_HEIGHT))
        ImageDraw.Draw(tile).text((3, 1), label, fill=255, font=font)
        tiles.append(tile)
    width, height = tiles[0].size
    columns = min(NUM_COLUMNS, len(tiles))
    sheet = PillowImage.new("L", (columns * width, -(-len(tiles) // columns) * height))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % columns * width, index // columns * height))
    file = io.BytesIO()
    sheet.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _slice(
    scan: Scan, to_voxels: npt.NDArray[np.float64], axis: int, place_mm: float
) -> npt.NDArray[np.float32]:
    """One slice in template space, (rows, columns), rows run downwards; NaN beyond the scan."""
    across, up = [other for other in range(3) if other != axis]
    columns = np.arange(LOW_MM[across], HIGH_MM[across], PIXEL_MM)
    rows = np.arange(LOW_MM[up], HIGH_MM[up], PIXEL_MM)[::-1]
    points = np.empty((3, rows.size, columns.size))
    points[axis] = place_mm
    points[across], points[up] = columns[None, :], rows[:, None]
    voxels = np.tensordot(to_voxels[:3, :3], points, axes=1) + to_voxels[:3, 3, None, None]
    values = ndimage.map_coordinates(scan.data_XYZ, voxels, order=1, cval=np.nan)
    return np.asarray(values, dtype=np.float32)


def _padded(tile: npt.NDArray[np.float32], height: int) -> npt.NDArray[np.float32]:
    missing = height - tile.shape[0]
    pad = ((missing // 2, missing - missing // 2), (0, 0))
    return np.pad(tile, pad, constant_values=np.nan)
