"""Changes of intensity, noise, contrast and resolution, with known sizes."""

import numpy as np
import pytest

from brainage.preprocess.tissue import TISSUES
from brainage.stress.bias import multiply_field
from brainage.stress.defacing import remove_face
from brainage.stress.intensity import add, invert, round_to, scale
from brainage.stress.k_space import add_ghosts, move_head
from brainage.stress.noise import add_noise
from brainage.stress.perturbation import NotApplicable
from brainage.stress.resolution import blur, resample
from tests.stress.conftest import centre_mm


def test_a_bias_field_has_the_strength_asked_for(whole):
    changed = multiply_field(whole, strength=0.4, seed=0)
    ratio = (changed.data_XYZ / np.maximum(whole.scan.data_XYZ, 1e-6))[whole.brain_mask]
    assert ratio.max() / ratio.min() == pytest.approx(1.4, rel=1e-3)
    rough = np.abs(np.diff(changed.data_XYZ / np.maximum(whole.scan.data_XYZ, 1e-6), axis=0))
    assert rough[1:-1, 1:-1, 1:-1].max() < 0.05  # smooth, from voxel to voxel


def test_a_bias_field_and_noise_depend_on_the_seed_alone(whole):
    for change in (
        lambda seed: multiply_field(whole, strength=0.4, seed=seed),
        lambda seed: add_noise(whole, level=0.1, seed=seed),
    ):
        first, again, other = change(0), change(0), change(1)
        assert np.array_equal(first.data_XYZ, again.data_XYZ)
        assert not np.array_equal(first.data_XYZ, other.data_XYZ)


def test_noise_is_rician(whole):
    changed = add_noise(whole, level=0.05, seed=0)
    sd = 0.05 * whole.white_level
    bright = whole.scan.data_XYZ > 150
    difference = (changed.data_XYZ - whole.scan.data_XYZ)[bright]
    assert difference.std() == pytest.approx(sd, rel=0.05)
    # Where there is no signal, magnitude noise has a Rayleigh distribution.
    air = changed.data_XYZ[0]
    assert air.mean() == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.05)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: add_noise(head, level=0.05, seed=0),
        lambda head: move_head(head, size=3),
        lambda head: add_ghosts(head, level=0.5),
        lambda head: blur(head, fwhm_mm=4),
    ],
    ids=["noise", "motion", "ghosts", "blur"],
)
def test_a_scanner_s_faults_do_not_fill_the_background_of_a_stripped_scan(stripped, change):
    changed = change(stripped)
    background = stripped.scan.data_XYZ == 0
    assert (changed.data_XYZ[background] == 0).all()
    assert not np.array_equal(changed.data_XYZ, stripped.scan.data_XYZ)


def test_more_motion_and_more_ghosting_change_more(whole):
    def distance(scan):
        return float(np.abs(scan.data_XYZ - whole.scan.data_XYZ).mean())

    moved = [distance(move_head(whole, size=size)) for size in (0, 1, 5)]
    assert moved[0] < 1e-2 < moved[1] < moved[2]
    ghosts = [distance(add_ghosts(whole, level=level)) for level in (0, 0.3, 0.6)]
    assert ghosts[0] < 1e-2 < ghosts[1] < ghosts[2]


def test_defacing_leaves_the_brain_and_takes_the_face(whole):
    changed = remove_face(whole, kept_mm=5)
    gone = (changed.data_XYZ == 0) & (whole.scan.data_XYZ > 0)
    assert gone.any()
    assert not (gone & whole.brain_mask).any()
    places = np.argwhere(gone) @ whole.scan.affine[:3, :3].T + whole.scan.affine[:3, 3]
    assert (places[:, 1] - places[:, 2] > 45).all()
    less = remove_face(whole, kept_mm=15)
    assert 0 < ((less.data_XYZ == 0) & (whole.scan.data_XYZ > 0)).sum() < gone.sum()


def test_a_stripped_scan_has_no_face(stripped):
    with pytest.raises(NotApplicable, match="no face"):
        remove_face(stripped, kept_mm=5)


def test_other_voxels_show_the_same_head_in_the_same_place(whole):
    changed = resample(whole, spacing_mm=(1.0, 3.0, 5.0))
    np.testing.assert_allclose(changed.spacing_mm, (1, 3, 5))
    np.testing.assert_allclose(centre_mm(changed), centre_mm(whole.scan), atol=1.5)
    with pytest.raises(NotApplicable, match="has this voxel size"):
        resample(whole, spacing_mm=(2.0, 2.0, 2.0))


def test_detail_that_coarse_voxels_cannot_hold_is_averaged(whole):
    data_XYZ = whole.scan.data_XYZ.copy()
    data_XYZ[::2] += 100  # stripes of one voxel
    striped = type(whole)(whole.with_data(data_XYZ), whole.found)
    plain, stripes = (resample(head, spacing_mm=(6.0, 6.0, 6.0)) for head in (whole, striped))
    inner = (slice(3, -3),) * 3
    added = (stripes.data_XYZ - plain.data_XYZ)[inner]
    assert added.mean() == pytest.approx(50, abs=2)
    assert added.std() < 5


def test_intensities_are_scaled_and_shifted(whole):
    data_XYZ = whole.scan.data_XYZ
    np.testing.assert_allclose(scale(whole, factor=1000).data_XYZ, 1000 * data_XYZ)
    added = add(whole, share=0.5).data_XYZ - data_XYZ
    np.testing.assert_allclose(added, 0.5 * whole.white_level, rtol=1e-4)


def test_rounding_leaves_whole_numbers(whole):
    rounded = round_to(whole, levels=64).data_XYZ
    assert set(np.unique(rounded)) <= set(range(64))
    assert np.corrcoef(rounded.ravel(), whole.scan.data_XYZ.ravel())[0, 1] > 0.99


def test_inversion_turns_the_order_of_tissues_round(stripped):
    before = [np.median(stripped.tissue_values[name]) for name in TISSUES]
    changed = type(stripped)(invert(stripped), stripped.found)
    after = [np.median(changed.tissue_values[name]) for name in TISSUES]
    assert before == sorted(before)
    assert after == sorted(after, reverse=True)
    assert (changed.scan.data_XYZ[stripped.scan.data_XYZ == 0] == 0).all()
