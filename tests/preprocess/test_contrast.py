"""The order of the tissues' intensities tells T1w from other contrasts."""

import numpy as np
import pytest

from brainage.preprocess.contrast import LEAST_VOXELS, measure_contrast
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels

T1W = {"csf": 1.0, "grey": 2.0, "white": 3.0}
ALL = np.ones((), dtype=bool)


def scan_of(levels, mask_XYZ=ALL, step=1) -> PreprocessedScan:
    """The template's tissues at these intensities, on every ``step``-th voxel of its grid."""
    template = load_template()
    rng = np.random.default_rng(0)
    image_XYZ = rng.normal(0, 0.5, template.mask_XYZ.shape)
    for name, label in TISSUES.items():
        image_XYZ[load_tissue_labels() == label] += levels[name]
    mask_XYZ = (template.mask_XYZ & mask_XYZ)[::step, ::step, ::step]
    affine = template.affine @ np.diag([step, step, step, 1.0])
    volume_XYZ = np.where(mask_XYZ, image_XYZ[::step, ::step, ::step], 0).astype(np.float32)
    return PreprocessedScan(volume_XYZ, mask_XYZ, affine, np.eye(4), {}, {}, "none")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_white_above_grey_above_fluid_is_t1w_on_every_grid(step):
    found = measure_contrast(scan_of(T1W, step=step))
    assert found.is_t1w
    assert found.white_above_grey == pytest.approx(1, abs=0.1)
    assert found.grey_above_csf == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param({"csf": 3, "grey": 2, "white": 1}, id="inverted or T2w"),
        pytest.param({"csf": 1, "grey": 3, "white": 2}, id="FLAIR"),
        pytest.param({"csf": 3, "grey": 1, "white": 2}, id="bright fluid"),
    ],
)
def test_any_other_order_is_not(levels):
    assert not measure_contrast(scan_of(levels)).is_t1w


def test_fluid_that_was_cut_off_is_not_judged():
    no_fluid = load_tissue_labels() != TISSUES["csf"]
    found = measure_contrast(scan_of(T1W, no_fluid))
    assert (found.grey_above_csf, found.is_t1w) == (None, True)
    assert not measure_contrast(scan_of({"csf": 0, "grey": 2, "white": 1}, no_fluid)).is_t1w


def test_a_few_voxels_decide_nothing():
    few = np.zeros(load_template().mask_XYZ.shape, dtype=bool)
    few.flat[np.flatnonzero(load_tissue_labels() == TISSUES["white"])[: LEAST_VOXELS - 1]] = True
    assert measure_contrast(scan_of(T1W, few)).white_above_grey is None


def test_what_lies_outside_the_mask_does_not_count():
    """A grid shifted by half a brain still reads the labels at the right millimetres."""
    whole = scan_of(T1W)
    moved = np.eye(4)
    moved[0, 3] = 30
    shifted = PreprocessedScan(
        np.roll(whole.volume_XYZ, -30, axis=0),
        np.roll(whole.mask_XYZ, -30, axis=0),
        whole.affine @ moved,
        *(np.eye(4), {}, {}, "none"),
    )
    assert measure_contrast(shifted).white_above_grey == pytest.approx(1, abs=0.1)
