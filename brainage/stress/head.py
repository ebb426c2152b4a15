"""A raw scan with what its own preprocessing found in it, for changes that need to know anatomy."""

from dataclasses import dataclass, replace
from functools import cached_property

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.bias_field import corrected_scan
from brainage.preprocess.foreground import background_value
from brainage.preprocess.state import Image, Mask, Matrix, ScanState
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels
from brainage.scans.nifti import Scan

STRIPPED = "already stripped"


@dataclass(frozen=True)
class Head:
    """An untouched scan; ``found`` has brain and registration of that scan."""

    scan: Scan
    found: ScanState

    @cached_property
    def brain_mask(self) -> Mask:
        """The brain mask on the whole grid of the scan."""
        brain = self.found.brain
        assert brain is not None
        mask_XYZ = np.zeros(self.scan.data_XYZ.shape, dtype=bool)
        ends = brain.start_XYZ + brain.mask_XYZ.shape
        mask_XYZ[tuple(slice(a, b) for a, b in zip(brain.start_XYZ, ends, strict=True))] = (
            brain.mask_XYZ
        )
        return mask_XYZ

    @cached_property
    def background(self) -> float:
        """The exact value around the head, or the commonest one at the scan's faces."""
        return background_value(self.scan.data_XYZ)

    @property
    def is_stripped(self) -> bool:
        """Whether the scan came without skull."""
        assert self.found.brain is not None
        return self.found.brain.source == STRIPPED

    @property
    def scan_to_template(self) -> Matrix:
        """(4, 4), millimetres of the scan to those of the template."""
        assert self.found.scan_to_template is not None
        return self.found.scan_to_template

    @property
    def voxels_to_template(self) -> Matrix:
        """(4, 4), voxels of the scan to voxels of the template's grid."""
        to_mm = self.scan_to_template @ self.scan.affine
        return np.asarray(np.linalg.inv(load_template().affine) @ to_mm, dtype=np.float64)

    def template_map(self, values_XYZ: npt.NDArray[np.float32], order: int = 1) -> Image:
        """A map on the template's grid, moved to the scan's; 0 beyond the template."""
        matrix = self.voxels_to_template
        moved = ndimage.affine_transform(
            values_XYZ,
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=self.scan.data_XYZ.shape,
            order=order,
        )
        return np.asarray(moved, dtype=np.float32)

    @cached_property
    def corrected(self) -> Image:
        """The scan's intensities with its own bias field, if it was estimated, divided out."""
        return corrected_scan(self.scan, self.found.bias)

    @cached_property
    def tissue_values(self) -> dict[str, npt.NDArray[np.float32]]:
        """Corrected intensities where the moved template has each of ``TISSUES``."""
        labels_XYZ = self.template_map(load_tissue_labels().astype(np.float32), order=0)
        inside = self.brain_mask
        return {
            name: self.corrected[(labels_XYZ == label) & inside] for name, label in TISSUES.items()
        }

    @cached_property
    def white_level(self) -> float:
        """Median intensity of white matter above the background: the unit of noise and offsets."""
        return float(np.median(self.tissue_values["white"])) - self.background

    def with_data(self, data_XYZ: npt.NDArray[np.floating]) -> Scan:
        """The same scan with other intensities."""
        return replace(self.scan, data_XYZ=np.ascontiguousarray(data_XYZ, dtype=np.float32))

    def scanned(self, data_XYZ: npt.NDArray[np.floating]) -> Scan:
        """The same scan with what a scanner did to its intensities.

        A scan is stripped after it was made, so the background of a stripped one stays.
        """
        if self.is_stripped:
            background = self.scan.data_XYZ == np.float32(self.background)
            data_XYZ = np.where(background, self.scan.data_XYZ, data_XYZ)
        return self.with_data(data_XYZ)


def in_canonical_order(scan: Scan) -> Scan:
    """The scan with its axes in the closest RAS+ order, as every scan is read."""
    order = nib.orientations.io_orientation(scan.affine)
    data_XYZ = nib.orientations.apply_orientation(scan.data_XYZ, order)
    affine = scan.affine @ nib.orientations.inv_ornt_aff(order, scan.data_XYZ.shape)
    return replace(scan, data_XYZ=np.ascontiguousarray(data_XYZ), affine=affine)


def head_centre_mm(head: Head) -> npt.NDArray[np.float64]:
    """The brain's centre of mass in scan space, (3,)."""
    voxel = np.array(ndimage.center_of_mass(head.brain_mask))
    affine = head.scan.affine
    return np.asarray(affine[:3, :3] @ voxel + affine[:3, 3], dtype=np.float64)
