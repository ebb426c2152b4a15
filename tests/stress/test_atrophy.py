"""Enlarged ventricles and thinned cortex: the doses are what they say."""

import numpy as np
import pytest
from scipy import ndimage

from brainage.preprocess.template import load_template
from brainage.stress.cortex import thin
from brainage.stress.perturbation import NotApplicable
from brainage.stress.ventricles import displacement, enlarge, growth_per_cent, ventricle_mask
from tests.stress.conftest import bordered, make_head


def test_the_template_s_lateral_ventricles_are_two_and_have_a_ventricle_s_size():
    mask = ventricle_mask()
    assert ndimage.label(mask)[1] == 2
    assert 8 < mask.sum() * 8 / 1000 < 25  # ml


@pytest.mark.parametrize("per_cent", [25.0, 150.0])
def test_the_ventricles_grow_by_the_dose_without_folding(per_cent):
    outward = np.stack(displacement(per_cent))
    assert growth_per_cent(outward) == pytest.approx(per_cent, abs=0.5)
    gradients = np.stack([np.stack(np.gradient(part, 2.0)) for part in outward])
    jacobian = np.eye(3) - np.moveaxis(gradients, (0, 1), (-2, -1))
    assert np.linalg.det(jacobian).min() > 0


def test_fluid_takes_the_place_of_tissue_and_the_outer_brain_stays(stripped):
    changed = enlarge(stripped, per_cent=100)
    dark_before, dark_after = (
        np.count_nonzero((data < 110) & stripped.brain_mask)
        for data in (stripped.scan.data_XYZ, changed.data_XYZ)
    )
    grown_ml = (dark_after - dark_before) * 8 / 1000
    assert 5 < grown_ml < 20  # the ventricles had 12 ml
    depth_mm = ndimage.distance_transform_edt(stripped.brain_mask, sampling=2)
    shell = (depth_mm > 0) & (depth_mm < 8)
    moved = np.abs(changed.data_XYZ - stripped.scan.data_XYZ)
    assert moved[shell].mean() < 0.05 * moved[ventricles_of(stripped)].max()


def ventricles_of(head) -> np.ndarray:
    return head.template_map(ventricle_mask().astype(np.float32)) > 0.5


def test_the_dose_follows_the_registration(stripped):
    """The same head in another place of scan space gets the same change."""
    affine = stripped.scan.affine.copy()
    affine[:3, 3] += (30, -20, 10)
    back = np.eye(4)
    back[:3, 3] = (-30, 20, -10)
    moved = make_head(stripped.scan.data_XYZ, affine, stripped.brain_mask, back)
    np.testing.assert_allclose(
        enlarge(moved, per_cent=50).data_XYZ, enlarge(stripped, per_cent=50).data_XYZ, atol=1e-2
    )


@pytest.fixture
def ball_of_tissue(ball, monkeypatch):
    """A ball whose tissue intensities are known, since no template fits it."""
    monkeypatch.setattr("brainage.stress.cortex.tissue_levels", lambda head: (20.0, 100.0))
    return ball


@pytest.mark.parametrize("mm", [0.25, 0.5, 1.0, 2.0])
def test_the_cortex_loses_its_outer_layer(ball_of_tissue, mm):
    changed = thin(ball_of_tissue, mm=mm)
    lost_ml = (ball_of_tissue.scan.data_XYZ - changed.data_XYZ).sum() / 80 / 1000
    layer_ml = 4 / 3 * np.pi * (40**3 - (40 - mm) ** 3) / 1000
    # A ball of voxels has stairs, whose faces are longer than the ball's.
    assert lost_ml == pytest.approx(layer_ml, rel=0.35)
    deep = ball_of_tissue.scan.data_XYZ[44:57, 44:57, 44:57]
    assert np.array_equal(changed.data_XYZ[44:57, 44:57, 44:57], deep)


def test_thinning_grows_with_the_dose_on_a_brain_and_leaves_the_ventricles(stripped):
    lost = []
    for mm in (0.25, 0.5, 1.0, 1.5):
        changed = thin(stripped, mm=mm)
        difference = stripped.scan.data_XYZ - changed.data_XYZ
        lost.append(difference.sum())
        assert (difference[~stripped.brain_mask] == 0).all()
        assert (difference[ventricles_of(stripped)] == 0).all()
    assert lost == sorted(lost)
    assert lost[0] > 0


def test_a_scan_without_darker_fluid_cannot_be_thinned():
    flat = bordered("already stripped", around=0)
    data_XYZ = np.where(flat.brain_mask, 100, 0)
    flat = make_head(data_XYZ, flat.scan.affine, flat.brain_mask)
    with pytest.raises(NotApplicable, match="not darker"):
        thin(flat, mm=1)


def test_the_ventricles_lie_in_the_template_s_brain():
    assert not (ventricle_mask() & ~load_template().mask_XYZ).any()
