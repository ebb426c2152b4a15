"""Extraction by the template: roughly the brain of a head, whatever neck hangs on it."""

import numpy as np

from brainage.preprocess.template_extraction import template_brain_mask


def test_the_template_finds_the_brain_inside_a_head(make):
    made = make.whole_head()
    brain = made.data_XYZ.copy()
    mask = template_brain_mask(make.as_scan(made))
    true = make.moved_brain(degrees=0, scale=0.9, shift_mm=0).data_XYZ > 0
    dice = 2 * np.count_nonzero(mask & true) / (np.count_nonzero(mask) + np.count_nonzero(true))
    assert dice > 0.9
    np.testing.assert_array_equal(made.data_XYZ, brain)


def test_an_empty_volume_has_no_brain(make):
    made = make.moved_brain()
    made.data_XYZ = np.zeros_like(made.data_XYZ)
    assert template_brain_mask(make.as_scan(made)) is None
