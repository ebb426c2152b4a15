"""Turned heads: how far they are turned, and a mask that comes back from an upright copy."""

import numpy as np
import pytest

from brainage.preprocess.upright import rotation_of, turn_degrees, upright_mask


@pytest.mark.parametrize("degrees", [0.0, 20.0, 170.0])
def test_the_turn_of_a_head_is_found_under_size_and_shear(make, degrees):
    made = make.moved_brain(degrees=degrees)
    assert turn_degrees(make.as_scan(made), made.scan_to_template) == pytest.approx(
        degrees, abs=1e-3
    )


def test_the_nearest_rotation_is_a_rotation(make):
    linear = make.rotation(30)[:3, :3] @ np.diag([1.1, 0.9, 1.2])
    found = rotation_of(linear)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found) == pytest.approx(1)
    np.testing.assert_allclose(rotation_of(make.rotation(30)[:3, :3]), make.rotation(30)[:3, :3])


def test_the_upright_copy_holds_the_head_upright_and_its_mask_comes_back(make):
    made = make.moved_brain(degrees=25)
    scan = make.as_scan(made)
    seen = []

    def find(upright):
        seen.append(upright)
        return upright.data_XYZ > 100

    mask = upright_mask(find, scan, made.scan_to_template)
    true = scan.data_XYZ > 100
    dice = 2 * np.count_nonzero(mask & true) / (np.count_nonzero(mask) + np.count_nonzero(true))
    assert mask.shape == true.shape
    assert dice > 0.95
    (upright,) = seen
    straight = make.moved_brain(degrees=0, shift_mm=0).scan_to_template
    assert turn_degrees(upright, straight) == pytest.approx(0, abs=1e-6)
    # Left and right halves of the template are mirror images, so those of an upright brain are too.
    profile = (upright.data_XYZ > 100).sum(axis=(1, 2))
    filled = np.flatnonzero(profile)
    middle = profile[filled[0] : filled[-1] + 1]
    assert np.corrcoef(middle, middle[::-1])[0, 1] > 0.99


def test_no_brain_in_the_copy_is_no_brain(make):
    made = make.moved_brain()
    assert upright_mask(lambda _: None, make.as_scan(made), made.scan_to_template) is None
