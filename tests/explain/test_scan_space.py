import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from brainage.explain.scan_space import to_scan_grid
from brainage.preprocess.config import GridConfig
from brainage.preprocess.grid import grid_affine

SPOT_MM = np.array([[-38.0, -22.0, 30.0]])


def rotated(degrees, spacing_mm, origin_mm):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


@pytest.fixture
def geometry():
    """A rotated scan with unequal voxels, two axes flipped, and a head of another size."""
    scan_affine = rotated((12, -20, 35), (-0.9, 1.2, -3.0), (95.0, -160.0, 110.0))
    scan_to_template = rotated((4, 9, -15), (1.1, 0.95, 1.05), (6.0, -12.0, 20.0))
    return scan_affine, scan_to_template


def spot(affine, shape, place_mm, sigma_mm=6.0):
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    return np.exp(-0.5 * (((places - place_mm) / sigma_mm) ** 2).sum(-1)).astype(np.float32)


def centre_mm(values, affine):
    voxels = np.moveaxis(np.indices(values.shape), 0, -1)
    centre = (voxels * values[..., None]).sum((0, 1, 2)) / values.sum()
    return affine[:3, :3] @ centre + affine[:3, 3]


def moved(matrix, place_mm):
    return matrix[:3, :3] @ place_mm + matrix[:3, 3]


def test_a_spot_on_the_template_lands_on_its_millimetre_of_the_scan(geometry):
    scan_affine, scan_to_template = geometry
    config = GridConfig()
    grid = grid_affine(config)
    planted = spot(grid, config.shape_XYZ, SPOT_MM)
    shape = (210, 170, 60)
    found = to_scan_grid(planted, grid, scan_to_template, shape, scan_affine)
    assert found.shape == shape
    expected_mm = moved(np.linalg.inv(scan_to_template), SPOT_MM[0])
    assert np.abs(centre_mm(found, scan_affine) - expected_mm).max() < 0.3
    peak = scan_affine @ [*np.unravel_index(found.argmax(), shape), 1.0]
    assert np.linalg.norm(peak[:3] - expected_mm) < 3.0  # a voxel of the scan


def test_a_spot_on_the_scan_comes_back_from_the_template(geometry):
    scan_affine, scan_to_template = geometry
    config = GridConfig()
    grid = grid_affine(config)
    place_mm = moved(np.linalg.inv(scan_to_template), SPOT_MM[0])
    on_scan = spot(scan_affine, (210, 170, 60), place_mm)
    # From the scan to the template is the same look-up with the roles exchanged.
    on_template = to_scan_grid(
        on_scan, scan_affine, np.linalg.inv(scan_to_template), config.shape_XYZ, grid
    )
    assert np.abs(centre_mm(on_template, grid) - SPOT_MM[0]).max() < 0.3
    again = to_scan_grid(on_template, grid, scan_to_template, on_scan.shape, scan_affine)
    assert np.abs(centre_mm(again, scan_affine) - place_mm).max() < 0.3


def test_there_is_nothing_outside_the_map(geometry):
    scan_affine, scan_to_template = geometry
    grid = np.diag([2.0, 2.0, 2.0, 1.0])
    found = to_scan_grid(np.ones((3, 3, 3)), grid, scan_to_template, (40, 40, 40), scan_affine)
    assert found.max() <= 1.0
    assert (found == 0).mean() > 0.9
