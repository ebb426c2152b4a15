"""The contact sheet's picture of one scan: slices through the aligned head, with outlines.

The whole head is shown, not the extracted brain: what a mask left out, or took in, is seen only
beside its surroundings.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from scipy import ndimage

from brainage.preprocess.state import Mask, Matrix, ScanState
from brainage.preprocess.template import load_template

PIXEL_MM = 1.5
JPEG_QUALITY = 70
# The head in template space, millimetres.
LOW_MM = (-90.0, -126.0, -81.0)
HIGH_MM = (90.0, 90.0, 99.0)
# Axis that the slice is cut across, and where: two sagittal, two coronal, two axial slices.
SLICES_MM = ((0, -4.0), (1, -26.0), (2, 6.0), (0, -36.0), (1, 8.0), (2, 34.0))
NUM_COLUMNS = 3

MASK_COLOUR = (255, 140, 0)
TEMPLATE_COLOUR = (86, 180, 233)

Picture = npt.NDArray[np.uint8]


def contact_picture(state: ScanState) -> bytes:
    """Six slices as a JPEG file of about 30 kB.

    Args:
        state: with brain and registration found.
    """
    tiles = [_tile(state, axis, place_mm) for axis, place_mm in SLICES_MM]
    height = max(tile.shape[0] for tile in tiles)
    padded = [_padded(tile, height) for tile in tiles]
    rows = [
        np.concatenate(padded[start : start + NUM_COLUMNS], axis=1)
        for start in range(0, len(padded), NUM_COLUMNS)
    ]
    file = io.BytesIO()
    sheet = PillowImage.fromarray(np.concatenate(rows, axis=0))
    # Without subsampling of colour, which would blur the outlines.
    sheet.save(file, format="JPEG", quality=JPEG_QUALITY, optimize=True, subsampling=0)
    return file.getvalue()


def _tile(state: ScanState, axis: int, place_mm: float) -> Picture:
    """One slice with the outlines of the scan's mask and of the template's, (rows, columns, 3)."""
    assert state.brain is not None
    assert state.scan_to_template is not None
    points_mm = _slice_points(axis, place_mm)
    in_scan = _inverse(state.scan_to_template @ state.scan.affine)
    values = _sampled(state.scan.data_XYZ, in_scan, points_mm)
    in_box = _inverse(state.scan_to_template @ state.brain.affine(state.scan.affine))
    mask = _sampled(state.brain.mask_XYZ.astype(np.float32), in_box, points_mm) > 0.5
    template = load_template()
    expected = (
        _sampled(template.mask_XYZ.astype(np.float32), _inverse(template.affine), points_mm) > 0.5
    )
    low, high = _window(state)
    grey = np.clip((values - low) / max(high - low, 1e-12) * 255, 0, 255).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[_outline(expected)] = TEMPLATE_COLOUR
    picture[_outline(mask)] = MASK_COLOUR
    return picture


def _slice_points(axis: int, place_mm: float) -> npt.NDArray[np.float64]:
    """Template millimetres of every pixel, (3, rows, columns); rows run downwards."""
    across, up = [other for other in range(3) if other != axis]
    columns = np.arange(LOW_MM[across] + PIXEL_MM / 2, HIGH_MM[across], PIXEL_MM)
    rows = np.arange(LOW_MM[up] + PIXEL_MM / 2, HIGH_MM[up], PIXEL_MM)[::-1]
    points = np.empty((3, rows.size, columns.size))
    points[axis] = place_mm
    points[across], points[up] = columns[None, :], rows[:, None]
    return points


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _sampled(
    volume_XYZ: npt.NDArray[np.float32], mm_to_voxels: Matrix, points_mm: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    voxels = np.tensordot(mm_to_voxels[:3, :3], points_mm, axes=1) + mm_to_voxels[:3, 3, None, None]
    return np.asarray(ndimage.map_coordinates(volume_XYZ, voxels, order=1), dtype=np.float32)


def _window(state: ScanState) -> tuple[float, float]:
    """Intensities shown as black and white, from every eighth voxel of the brain."""
    assert state.brain is not None
    inside = state.brain.crop(state.scan.data_XYZ)[state.brain.mask_XYZ][::8]
    low, high = np.quantile(inside, [0.005, 0.995])
    # Fluid stays visible against the background, which is black.
    return float(max(low - 0.15 * (high - low), state.scan.data_XYZ.min())), float(high)


def _outline(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask), dtype=bool)


def _padded(tile: Picture, height: int) -> Picture:
    missing = height - tile.shape[0]
    return np.pad(tile, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)))
