"""Target grid: the right box, the right place, no aliasing, nothing outside the brain."""

from types import SimpleNamespace

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.preprocess.config import GridConfig
from brainage.preprocess.grid import ResampleToGrid, grid_affine, template_mask
from brainage.preprocess.state import Brain, ScanState
from brainage.preprocess.template import load_template

GRIDS = {4: (40, 48, 40), 3: (56, 64, 56), 2: (80, 96, 80), 1: (160, 192, 160)}


def in_place(make, data_XYZ, affine, mask_XYZ=None):
    """A state whose scan already lies in template space."""
    scan = make.as_scan(SimpleNamespace(data_XYZ=data_XYZ.astype(np.float32), affine=affine))
    mask_XYZ = data_XYZ > 0 if mask_XYZ is None else mask_XYZ
    brain = Brain(mask_XYZ, np.zeros(3, np.int64), "none")
    return ScanState(scan, brain=brain, scan_to_template=np.eye(4))


@pytest.mark.parametrize(("spacing_mm", "shape_XYZ"), GRIDS.items())
def test_the_box_holds_every_voxel_of_the_template_mask(spacing_mm, shape_XYZ):
    config = GridConfig(spacing_mm=spacing_mm, shape_XYZ=shape_XYZ)
    template = load_template()
    voxels = np.argwhere(template.mask_XYZ)
    to_grid = np.linalg.inv(grid_affine(config)) @ template.affine
    on_grid = voxels @ to_grid[:3, :3].T + to_grid[:3, 3]
    assert on_grid.min() >= -0.5
    assert (on_grid <= np.array(shape_XYZ) - 0.5).all()


@pytest.mark.parametrize(("spacing_mm", "shape_XYZ"), GRIDS.items())
def test_all_boxes_have_their_centre_in_the_middle_of_the_brain(spacing_mm, shape_XYZ):
    affine = grid_affine(GridConfig(spacing_mm=spacing_mm, shape_XYZ=shape_XYZ))
    middle = [*(np.array(shape_XYZ) / 2 - 0.5), 1]
    np.testing.assert_allclose((affine @ middle)[:3], [0, -17, 5])


def test_a_box_that_cuts_the_brain_is_refused():
    with pytest.raises(ValueError, match=r"shape_XYZ: expected at least \(37, 45, 39\)"):
        GridConfig(spacing_mm=4.0, shape_XYZ=(40, 44, 40))


@pytest.mark.parametrize("spacing_mm", [4, 3, 2])
def test_a_point_of_space_stays_where_it_is(make, spacing_mm):
    config = GridConfig(spacing_mm=spacing_mm, shape_XYZ=GRIDS[spacing_mm])
    scan_affine = np.diag([2.0, 2.0, 2.0, 1.0])
    scan_affine[:3, 3] = [-90, -126, -72]
    target_mm = np.array([20.0, -30.0, 40.0])
    positions = np.stack(np.indices((91, 109, 91)), axis=-1) @ scan_affine[:3, :3]
    distance = np.linalg.norm(positions + scan_affine[:3, 3] - target_mm, axis=-1)
    state = in_place(make, np.exp(-((distance / 10) ** 2)) + 1e-3, scan_affine)
    volume = ResampleToGrid(config)(state).volume
    brightest = np.unravel_index(volume.data_XYZ.argmax(), volume.data_XYZ.shape)
    found_mm = (volume.affine @ [*brightest, 1])[:3]
    assert np.abs(found_mm - target_mm).max() <= spacing_mm / 2


def test_fine_texture_is_averaged_and_not_sampled(make):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-80, -113, -75]
    stripes = 100.0 + 50.0 * (-1.0) ** np.arange(160)
    data = np.broadcast_to(stripes[:, None, None], (160, 192, 160))
    volume = ResampleToGrid(GridConfig())(in_place(make, data, affine)).volume
    inner = volume.data_XYZ[5:-5, 5:-5, 5:-5]
    assert np.abs(inner - 100).max() < 1


def test_skull_next_to_the_brain_does_not_bleed_in(make):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-80, -113, -75]
    mask = np.zeros((80, 96, 80), bool)
    mask[20:60, 20:70, 20:60] = True
    data = np.where(mask, 100.0, 5000.0)
    volume = ResampleToGrid(GridConfig())(in_place(make, data, affine, mask)).volume
    np.testing.assert_allclose(volume.data_XYZ[volume.mask_XYZ], 100, rtol=1e-4)
    assert (volume.data_XYZ[~volume.mask_XYZ] == 0).all()
    assert np.count_nonzero(volume.mask_XYZ) * 8 == pytest.approx(np.count_nonzero(mask), rel=0.1)


def test_the_intersection_mask_stays_inside_the_template(make):
    config = GridConfig(mask="intersection")
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-100, -130, -90]
    state = in_place(make, np.full((50, 60, 50), 7.0), affine)
    volume = ResampleToGrid(config)(state).volume
    inside = template_mask(volume.affine, config.shape_XYZ)
    np.testing.assert_array_equal(volume.mask_XYZ, inside)
    assert (volume.data_XYZ[~inside] == 0).all()


def test_a_brain_outside_the_box_is_refused(make):
    affine = np.eye(4)
    affine[:3, 3] = 500
    with pytest.raises(ScanError) as info:
        ResampleToGrid(GridConfig())(in_place(make, np.ones((20, 20, 20)), affine))
    assert info.value.stage == "grid"
