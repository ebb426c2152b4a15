"""Target grid: one resampling from the scan's own voxels to a box in MNI space."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from brainage.errors import ScanError
from brainage.preprocess.config import (
    TEMPLATE_BRAIN_HIGH_MM,
    TEMPLATE_BRAIN_LOW_MM,
    GridConfig,
)
from brainage.preprocess.resample import resample_brain
from brainage.preprocess.state import Mask, Matrix, ScanState, Volume
from brainage.preprocess.template import load_template


class ResampleToGrid:
    """Bring the brain onto the target grid; nothing was interpolated before."""

    name = "grid"

    def __init__(self, config: GridConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``volume``, still in the scan's intensities."""
        assert state.scan_to_template is not None
        affine = grid_affine(self.config)
        grid_to_scan = np.linalg.inv(state.scan_to_template) @ affine
        # Distance in scan space: a small head is stretched on its way to the template.
        spacing_mm = float(np.abs(np.linalg.det(grid_to_scan[:3, :3])) ** (1 / 3))
        data_XYZ, mask_XYZ = resample_brain(state, grid_to_scan, self.config.shape_XYZ, spacing_mm)
        if self.config.mask == "intersection":
            mask_XYZ = mask_XYZ & template_mask(affine, self.config.shape_XYZ)
            data_XYZ = np.where(mask_XYZ, data_XYZ, np.float32(0))
        if not mask_XYZ.any():
            raise ScanError(
                state.scan.source, self.name, "expected a brain inside the target box, got none"
            )
        return replace(state, volume=Volume(data_XYZ, mask_XYZ, affine))


def grid_affine(config: GridConfig) -> Matrix:
    """Voxel indices of the target grid to MNI millimetres; the box is centred on the brain.

    The centre (0, -17, 5) mm is that of the template's brain mask.
    """
    low, high = np.array(TEMPLATE_BRAIN_LOW_MM), np.array(TEMPLATE_BRAIN_HIGH_MM)
    affine = np.diag([config.spacing_mm] * 3 + [1.0])
    first_voxel = np.array(config.shape_XYZ) / 2 - 0.5
    affine[:3, 3] = (low + high) / 2 - config.spacing_mm * first_voxel
    return affine


def template_mask(affine: Matrix, shape_XYZ: tuple[int, int, int]) -> Mask:
    """The template's brain on a grid in MNI space."""
    template = load_template()
    to_voxels = np.linalg.inv(template.affine) @ affine
    weight = ndimage.affine_transform(
        template.mask_XYZ.astype(np.float32),
        to_voxels[:3, :3],
        to_voxels[:3, 3],
        output_shape=shape_XYZ,
        order=1,
    )
    return np.asarray(weight > 0.5)
