"""Changes of place and field of view: the head is the same, and lies where it should."""

import numpy as np
import pytest
from scipy import ndimage

from brainage.stress.field_of_view import add_air, cut_neck, cut_sides
from brainage.stress.head import head_centre_mm
from brainage.stress.mirror import mirror
from brainage.stress.perturbation import NotApplicable
from brainage.stress.rotation import rotation_about, turn_in_header, turn_voxels
from brainage.stress.translation import shift_in_header, shift_voxels
from tests.stress.conftest import centre_mm, make_head


def sampled(scan, places_mm) -> np.ndarray:
    """The scan's intensities at millimetres (3, N)."""
    to_voxels = np.linalg.inv(scan.affine)
    return ndimage.map_coordinates(
        scan.data_XYZ, to_voxels[:3, :3] @ places_mm + to_voxels[:3, 3:], order=1
    )


@pytest.fixture
def places_mm(stripped) -> np.ndarray:
    """Places of the brain, in millimetres of the scan."""
    affine = stripped.scan.affine
    return affine[:3, :3] @ np.argwhere(stripped.brain_mask)[::997].T + affine[:3, 3:]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turn_in_the_header_moves_every_place_and_no_value(stripped, places_mm, axis):
    turned = turn_in_header(stripped, axis=axis, degrees=20)
    turn = rotation_about(stripped, axis, 20)
    moved = turn[:3, :3] @ places_mm + turn[:3, 3:]
    np.testing.assert_allclose(sampled(turned, moved), sampled(stripped.scan, places_mm), atol=1e-2)
    assert np.array_equal(np.sort(turned.data_XYZ.ravel()), np.sort(stripped.scan.data_XYZ.ravel()))


def test_a_turn_by_more_than_half_a_right_angle_is_read_in_the_nearest_order(stripped):
    turned = turn_in_header(stripped, axis=2, degrees=80)
    axes = np.abs(turned.affine[:3, :3])
    assert (axes.argmax(axis=0) == [0, 1, 2]).all()
    assert (np.diag(turned.affine)[:3] > 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turn_on_the_voxels_leads_to_the_same_place_as_one_in_the_header(
    stripped, places_mm, axis
):
    turn = rotation_about(stripped, axis, 12)
    moved = turn[:3, :3] @ places_mm + turn[:3, 3:]
    turned = turn_voxels(stripped, axis=axis, degrees=12)
    np.testing.assert_allclose(turned.affine[:3, :3], stripped.scan.affine[:3, :3])
    difference = sampled(turned, moved) - sampled(stripped.scan, places_mm)
    assert np.abs(difference).mean() < 6  # of 220: interpolated twice
    assert abs(difference.mean()) < 4


def test_turns_keep_the_head_s_centre(stripped):
    turned = turn_voxels(stripped, axis=0, degrees=12)
    np.testing.assert_allclose(centre_mm(turned), centre_mm(stripped.scan), atol=1)


def test_nothing_of_the_volume_is_cut_by_a_turn(whole):
    turned = turn_voxels(whole, axis=0, degrees=12)
    assert turned.data_XYZ.sum() == pytest.approx(whole.scan.data_XYZ.sum(), rel=0.01)


def test_a_shift_in_the_header_moves_the_centre(stripped):
    moved = centre_mm(shift_in_header(stripped, mm=50)) - centre_mm(stripped.scan)
    np.testing.assert_allclose(moved, 50)


def test_voxels_in_between_show_the_head_where_it_was(stripped):
    between = shift_voxels(stripped, voxels=0.5)
    assert not np.array_equal(between.data_XYZ, stripped.scan.data_XYZ)
    np.testing.assert_allclose(centre_mm(between), centre_mm(stripped.scan), atol=0.1)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: cut_neck(head, mm=20),
        lambda head: cut_sides(head, mm=8),
        lambda head: add_air(head, mm=40),
    ],
    ids=["neck", "sides", "air"],
)
def test_another_field_of_view_holds_the_same_brain_in_the_same_place(stripped, places_mm, change):
    changed = change(stripped)
    assert changed.data_XYZ.shape != stripped.scan.data_XYZ.shape
    assert np.array_equal(sampled(changed, places_mm), sampled(stripped.scan, places_mm))


def test_the_neck_is_cut_below_the_brain_and_nowhere_else(whole):
    changed = cut_neck(whole, mm=20)
    lowest = np.argwhere(whole.brain_mask)[:, 2].min()
    cut = whole.scan.data_XYZ.shape[2] - changed.data_XYZ.shape[2]
    assert lowest - cut == 10  # voxels of 2 mm
    assert changed.data_XYZ.shape[:2] == whole.scan.data_XYZ.shape[:2]


def test_the_sides_are_cut_and_the_neck_stays(whole):
    changed = cut_sides(whole, mm=8)
    extent = np.ptp(np.argwhere(whole.brain_mask), axis=0) + 1
    assert (np.array(changed.data_XYZ.shape)[:2] == extent[:2] + 8).all()
    lowest = np.argwhere(whole.brain_mask)[:, 2].min()
    assert changed.data_XYZ.shape[2] == lowest + extent[2] + 4


@pytest.mark.parametrize("change", [cut_neck, cut_sides])
def test_a_tight_scan_has_nothing_to_cut(ball, change):
    tight = make_head(
        ball.scan.data_XYZ[2:-2, 2:-2, 2:-2], ball.scan.affine, ball.brain_mask[2:-2, 2:-2, 2:-2]
    )
    with pytest.raises(NotApplicable, match="less than 20 mm"):
        change(tight, mm=20)


def test_the_mirror_image_of_the_mirror_image_is_the_scan(stripped):
    # The template is symmetric, a head whose left half is brighter is not.
    data_XYZ = stripped.scan.data_XYZ.copy()
    data_XYZ[: len(data_XYZ) // 2] *= 2
    marked = type(stripped)(stripped.with_data(data_XYZ), stripped.found)
    once = mirror(marked)
    assert centre_mm(once)[0] == pytest.approx(-centre_mm(marked.scan)[0])
    assert np.array_equal(once.data_XYZ[::-1], data_XYZ)
    assert np.array_equal(once.affine, marked.scan.affine)


def test_the_centre_of_the_head_is_that_of_the_brain(ball):
    np.testing.assert_allclose(head_centre_mm(ball), 0, atol=1e-9)
