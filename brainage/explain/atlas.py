"""Region, hemisphere and tissue of every voxel of a grid in template space.

The template's brain is cut by the nearest named point (`landmarks`), by the midline, and by the
template's tissue maps. It is the template's anatomy and not the scan's own: an affine alignment
leaves a few millimetres between the two.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from brainage.explain.landmarks import REGIONS, landmarks
from brainage.preprocess.state import Matrix
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels

HEMISPHERES = ("midline", "left", "right")
TISSUE_NAMES = ("outside the template", *TISSUES)

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Atlas:
    """Places in ``REGIONS``, ``HEMISPHERES`` and ``TISSUE_NAMES``, each of the grid's shape.

    A scan's brain reaches beyond the template's here and there: such places have the region they
    are next to, and no tissue.
    """

    region_XYZ: Labels
    hemisphere_XYZ: Labels
    tissue_XYZ: Labels


def make_atlas(affine: Matrix, shape_XYZ: tuple[int, ...]) -> Atlas:
    """The atlas on a grid.

    Args:
        affine: (4, 4), the grid's voxels to template millimetres.
        shape_XYZ: voxels of the grid.
    """
    voxels = np.moveaxis(np.indices(shape_XYZ), 0, -1).reshape(-1, 3)
    places_mm = voxels @ affine[:3, :3].T + affine[:3, 3]
    points, names = landmarks()
    _, nearest = KDTree(points).query(places_mm)
    region = np.array([REGIONS.index(name) for name in names])[nearest]
    # Half a thousandth of a millimetre: rounding puts no voxel of the midline on a side.
    x_mm = np.where(np.abs(places_mm[:, 0]) < 5e-4, 0.0, places_mm[:, 0])
    side = np.select([x_mm < 0, x_mm > 0], [1, 2], default=0)
    return Atlas(
        *(
            np.asarray(part, dtype=np.uint8).reshape(shape_XYZ)
            for part in (region, side, _tissue(places_mm))
        )
    )


def _tissue(places_mm: npt.NDArray[np.float64]) -> Labels:
    """Tissue of the template at places (N, 3): the nearest voxel's."""
    template = load_template()
    labels_XYZ = load_tissue_labels()
    # Voxels of two tissues have no label: they take that of the nearest voxel that has one.
    _, nearest = ndimage.distance_transform_edt(labels_XYZ == 0, return_indices=True)
    labels_XYZ = np.where(template.mask_XYZ, labels_XYZ[tuple(nearest)], 0).astype(np.uint8)
    to_voxels = np.linalg.inv(template.affine)
    voxels = places_mm @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    return np.asarray(ndimage.map_coordinates(labels_XYZ, voxels.T, order=0), dtype=np.uint8)
