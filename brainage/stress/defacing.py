"""The face removed, as data bases do before they share a scan."""

from functools import partial

import numpy as np
from scipy import ndimage

from brainage.preprocess.state import Mask
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import NotApplicable, Perturbation

# What is kept around the brain. Tools for defacing keep one to two centimetres.
KEPT_MM = (15.0, 5.0)
# In front of and below the plane y - z = 45 mm of template space: nose, mouth, eyes, chin, throat.
FACE_PLANE_MM = 45.0


def perturbations() -> list[Perturbation]:
    """The face removed up to a distance from the brain."""
    return [
        Perturbation(
            name="defacing", level=f"{mm:g} mm left", change=partial(remove_face, kept_mm=mm)
        )
        for mm in KEPT_MM
    ]


def remove_face(head: Head, *, kept_mm: float) -> Scan:
    """Set the face to background.

    Args:
        head: with its registration, which says where the face is.
        kept_mm: distance from the scan's own brain and from the template's within which nothing
            is removed.
    """
    face_XYZ = face_region(head) & (_distance_to_brain_mm(head) > kept_mm)
    shown = head.scan.data_XYZ[face_XYZ] != np.float32(head.background)
    if not shown.any():
        raise NotApplicable("the scan shows no face")
    data_XYZ = head.scan.data_XYZ.copy()
    data_XYZ[face_XYZ] = head.background
    return head.with_data(data_XYZ)


def face_region(head: Head) -> Mask:
    """Voxels of the scan in front of and below the brain, by its registration."""
    to_template = head.scan_to_template @ head.scan.affine
    x, y, z = np.ogrid[tuple(slice(size) for size in head.scan.data_XYZ.shape)]
    weights = to_template[1] - to_template[2]
    depth_mm = weights[0] * x + weights[1] * y + weights[2] * z + weights[3]
    return np.asarray(depth_mm > FACE_PLANE_MM)


def _distance_to_brain_mm(head: Head) -> np.ndarray:
    """Millimetres from each voxel to the brain: the scan's or the moved template's."""
    template = load_template()
    brain_XYZ = head.brain_mask | (head.template_map(template.mask_XYZ.astype(np.float32)) > 0.5)
    spacing_mm = np.maximum(head.scan.spacing_mm, 1e-3 * TEMPLATE_SPACING_MM)
    return np.asarray(ndimage.distance_transform_edt(~brain_XYZ, sampling=spacing_mm))
