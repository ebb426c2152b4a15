"""Brain extraction without a network: where the registered template has brain.

Coarser than a network, for an affine matrix knows only the size of a brain and not its shape, but
it needs nothing but the template and looks at nothing but intensities.
"""

import numpy as np
from scipy import ndimage

from brainage.errors import ScanError
from brainage.preprocess.ants_linear import register_linear
from brainage.preprocess.state import Image, Mask, Matrix
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.scans.nifti import Scan

# From the top of the head to the middle of the template's brain, with skull and scalp.
TOP_TO_MIDDLE_MM = 90.0
HEAD_HEIGHT_MM = 200.0
# The rim around the brain that has to fit too: dark skull beside bright cortex.
RIM_VOXELS = 4


def template_brain_mask(scan: Scan) -> Mask | None:
    """Brain mask on the scan's grid from an affine registration of the template to the head.

    Raises:
        ScanError: the registration failed.
    """
    head_XYZ, affine = _head_image(scan)
    if not head_XYZ.any():
        return None
    template = load_template()
    shift = _start_shift(head_XYZ, affine)
    within_XYZ = ndimage.binary_dilation(template.mask_XYZ, iterations=RIM_VOXELS)
    try:
        found = register_linear(
            head_XYZ, shift @ affine, transform="affine", align="nothing", within_XYZ=within_XYZ
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ScanError(scan.source, "brain_extraction", f"ANTs failed: {error}") from error
    template_to_scan = np.linalg.inv(shift) @ found
    to_template = np.linalg.inv(template_to_scan @ template.affine) @ scan.affine
    weight_XYZ = ndimage.affine_transform(
        template.mask_XYZ.astype(np.float32),
        to_template[:3, :3],
        to_template[:3, 3],
        output_shape=scan.data_XYZ.shape,
        order=1,
    )
    return np.asarray(weight_XYZ > 0.5)


def _head_image(scan: Scan) -> tuple[Image, Matrix]:
    """The scan on an upright grid at the template's spacing, scaled to 0 to 1."""
    shape = np.array(scan.data_XYZ.shape)
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    corners_mm = scan.affine[:3, :3] @ corners + scan.affine[:3, 3:]
    low_mm, high_mm = corners_mm.min(axis=1), corners_mm.max(axis=1)
    sizes = np.ceil((high_mm - low_mm) / TEMPLATE_SPACING_MM).astype(int) + 1
    affine = np.diag([TEMPLATE_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low_mm
    to_voxels = np.linalg.inv(scan.affine) @ affine
    low, high = np.quantile(scan.data_XYZ, [0.02, 0.995])
    image_XYZ = ndimage.affine_transform(
        scan.data_XYZ,
        to_voxels[:3, :3],
        to_voxels[:3, 3],
        output_shape=tuple(int(size) for size in sizes),
        order=1,
        cval=float(low),
    )
    scaled = np.clip((image_XYZ - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(scaled, dtype=np.float32), affine


def _start_shift(head_XYZ: Image, affine: Matrix) -> Matrix:
    """A shift that puts the middle of the upper head on the middle of the template's brain.

    Centres of mass do not do: a head has a neck, more or less of it.
    """
    head = ndimage.binary_opening(head_XYZ > 0.2)
    head = head if head.any() else head_XYZ > 0
    top = int(np.flatnonzero(head.any(axis=(0, 1)))[-1])
    height = int(HEAD_HEIGHT_MM / TEMPLATE_SPACING_MM)
    upper = head[:, :, max(0, top - height) : top + 1]
    middle = [
        float(np.mean(np.flatnonzero(upper.any(axis=axes))[[0, -1]])) for axes in ((1, 2), (0, 2))
    ]
    middle_mm = affine @ [*middle, top - TOP_TO_MIDDLE_MM / TEMPLATE_SPACING_MM, 1.0]
    template = load_template()
    inside = np.argwhere(template.mask_XYZ)
    wanted = (inside.min(axis=0) + inside.max(axis=0)) / 2
    shift = np.eye(4)
    shift[:3, 3] = (template.affine @ [*wanted, 1.0])[:3] - middle_mm[:3]
    return shift
