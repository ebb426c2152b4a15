"""A thinner cortex: a dose-response with a known direction.

The outermost layer of the scan's own tissue, in the convexity and in the sulci it resolves, gets
the intensity of fluid. Where the layer ends within a voxel, the voxel is a mixture.
"""

from functools import partial

import numpy as np
from scipy import ndimage

from brainage.preprocess.state import Mask
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import NotApplicable, Perturbation
from brainage.stress.ventricles import ventricle_mask

MM = (0.25, 0.5, 1.0, 1.5)
# Deeper than this under the brain mask's surface there is no cortex to thin.
DEPTH_MM = 25.0
# The template's fluid, moved by an affine matrix, takes in some tissue: fluid is the darker part.
FLUID_QUANTILE = 0.2
MIN_VOXELS = 50


def perturbations() -> list[Perturbation]:
    """Doses of thinning."""
    return [
        Perturbation(
            name="cortex",
            level=f"- {dose:g} mm",
            change=partial(thin, mm=dose),
            dose=dose,
            expected="older",
        )
        for dose in MM
    ]


def thin(head: Head, *, mm: float) -> Scan:
    """Replace the outer ``mm`` of tissue by fluid."""
    corrected_XYZ = head.corrected
    fluid, grey = tissue_levels(head)
    depth_mm = ndimage.distance_transform_edt(head.brain_mask, sampling=head.scan.spacing_mm)
    outer_XYZ = head.brain_mask & (depth_mm <= DEPTH_MM)
    tissue_XYZ = outer_XYZ & (corrected_XYZ > (fluid + grey) / 2)
    open_XYZ = _outer_fluid(head, tissue_XYZ)
    distance_mm = ndimage.distance_transform_edt(~open_XYZ, sampling=head.scan.spacing_mm)
    # The outer face of a voxel next to fluid is half a voxel from either centre.
    voxel_mm = float(np.prod(head.scan.spacing_mm) ** (1 / 3))
    share = np.clip((mm - (distance_mm - voxel_mm)) / voxel_mm, 0, 1) * tissue_XYZ
    field_XYZ = np.divide(
        head.scan.data_XYZ,
        corrected_XYZ,
        out=np.ones_like(corrected_XYZ),
        where=corrected_XYZ > 0,
    )
    thinned = head.scan.data_XYZ * (1 - share) + fluid * field_XYZ * share
    return head.with_data(np.where(share > 0, thinned, head.scan.data_XYZ))


def tissue_levels(head: Head) -> tuple[float, float]:
    """Intensities of fluid and of grey matter in the scan, by its registration."""
    values = head.tissue_values
    if min(values[name].size for name in ("csf", "grey")) < MIN_VOXELS:
        raise NotApplicable("too little fluid or grey matter was found to know their intensities")
    fluid = float(np.quantile(values["csf"], FLUID_QUANTILE))
    grey = float(np.median(values["grey"]))
    if not fluid < grey:
        raise NotApplicable("fluid is not darker than grey matter in this scan")
    return fluid, grey


def _outer_fluid(head: Head, tissue_XYZ: Mask) -> Mask:
    """What is not tissue and reaches the outside of the brain; ventricles do not."""
    ventricles = head.template_map(ventricle_mask().astype(np.float32)) > 0.1
    not_tissue = ~tissue_XYZ & ~ndimage.binary_dilation(ventricles, iterations=2)
    depth_mm = ndimage.distance_transform_edt(head.brain_mask, sampling=head.scan.spacing_mm)
    not_tissue &= depth_mm <= DEPTH_MM
    labels, _ = ndimage.label(not_tissue)
    outside = np.unique(labels[~head.brain_mask & not_tissue])
    return np.isin(labels, outside[outside > 0])
