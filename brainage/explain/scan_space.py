"""From the template's grid back to the scan's own, so that a viewer lays a map over the scan."""

import numpy as np
from scipy import ndimage

from brainage.preprocess.state import Image, Matrix


def to_scan_grid(
    map_XYZ: Image,
    map_affine: Matrix,
    scan_to_template: Matrix,
    scan_shape_XYZ: tuple[int, ...],
    scan_affine: Matrix,
) -> Image:
    """A map at the places of a scan's voxels; linear interpolation, 0 outside the map.

    Values are looked up and not rescaled: a scan's voxel has the value of its place on the
    template.

    Args:
        map_XYZ: on a grid in template space.
        map_affine: (4, 4), its voxels to template millimetres.
        scan_to_template: (4, 4), scan millimetres to template millimetres.
        scan_shape_XYZ: voxels of the scan along its own axes.
        scan_affine: (4, 4), the scan's voxels to scan millimetres.
    """
    to_map = np.linalg.inv(map_affine) @ scan_to_template @ scan_affine
    return np.asarray(
        ndimage.affine_transform(
            map_XYZ, to_map[:3, :3], to_map[:3, 3], output_shape=scan_shape_XYZ, order=1
        ),
        dtype=np.float32,
    )
