"""The picture of a scan shows the aligned head with two outlines."""

import io

import numpy as np
import pytest
from PIL import Image

from brainage.preprocess.state import Brain, ScanState
from brainage.reporting.qc_picture import contact_picture
from tests.preprocess.conftest import as_scan, moved_brain


def picture(*, wrong_by_mm: float = 0.0, erosion: int = 0) -> np.ndarray:
    from scipy import ndimage

    made = moved_brain(degrees=10, scale=0.9)
    mask = ndimage.binary_fill_holes(made.data_XYZ > 0)
    if erosion:
        mask = ndimage.binary_erosion(mask, iterations=erosion)
    matrix = made.scan_to_template.copy()
    matrix[0, 3] += wrong_by_mm
    brain = Brain(mask, np.zeros(3, dtype=np.int64), "none")
    content = contact_picture(ScanState(as_scan(made), brain=brain, scan_to_template=matrix))
    assert len(content) < 60_000
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.int64)


def width_of(pixels: np.ndarray, *, blue: bool) -> int:
    """Columns that an outline takes in the first axial slice; all but the outlines is grey."""
    red_minus_blue = pixels[:144, 264:, 0] - pixels[:144, 264:, 2]
    drawn = red_minus_blue < -60 if blue else red_minus_blue > 60
    columns = np.flatnonzero(drawn.any(axis=0))
    return int(columns[-1] - columns[0] + 1)


@pytest.fixture(scope="module")
def aligned() -> np.ndarray:
    return picture()


def test_six_slices_of_three_planes_are_shown(aligned):
    assert aligned.shape == (288, 384, 3)
    bright = aligned.mean(axis=2) > 60
    tiles = [bright[r : r + 144, c : c + w] for r in (0, 144)
             for c, w in ((0, 144), (144, 120), (264, 120))]  # fmt: skip
    assert all(tile.mean() > 0.1 for tile in tiles)


def test_front_is_right_in_sagittal_slices_and_up_in_axial_ones(aligned):
    # The template's brain reaches 107 mm behind the origin and 73 mm before it.
    sagittal, axial = aligned[:144, :144].mean(axis=2) > 60, aligned[:144, 264:].mean(axis=2) > 60
    columns, rows = np.flatnonzero(sagittal.any(axis=0)), np.flatnonzero(axial.any(axis=1))
    assert columns[0] < 143 - columns[-1] + 6
    assert 143 - rows[-1] < rows[0] + 6


def test_outlines_part_where_the_mask_leaves_the_template(aligned):
    apart = picture(erosion=4)
    # Four voxels of 3 mm off each side, in pixels of 1.5 mm; in the template a tenth more.
    lost = width_of(aligned, blue=False) - width_of(apart, blue=False)
    assert lost == pytest.approx(2 * 4 * 3 / 1.5 / 0.9, abs=5)
    assert width_of(apart, blue=True) == pytest.approx(width_of(aligned, blue=True), abs=2)


def test_a_wrong_alignment_is_seen(aligned):
    shifted = picture(wrong_by_mm=15)
    axial = (slice(0, 144), slice(264, 384))
    centre = [np.argwhere(p[axial].mean(axis=2) > 60)[:, 1].mean() for p in (aligned, shifted)]
    assert centre[1] - centre[0] == pytest.approx(10, abs=3)  # pixels of 1.5 mm
