"""Where the template has grey matter, white matter and fluid.

Source: the probability maps of the same ICBM 152 template, as shipped inside nilearn.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template

TISSUES = {"csf": 1, "grey": 2, "white": 3}

# A voxel belongs to a tissue that is nearly certain there, so that voxels of two tissues, and the
# neighbourhood that an affine alignment misses, stay out.
MIN_PROBABILITY = 0.8
MAX_TISSUE_IN_CSF = 0.2


@cache
def load_tissue_labels() -> npt.NDArray[np.uint8]:
    """Labels of ``TISSUES`` on the grid of `load_template`; 0 where it is none of them."""
    # Deferred as in `load_template`.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template  # noqa: PLC0415

    template = load_template()
    grey = load_mni152_gm_template(resolution=TEMPLATE_SPACING_MM)
    white = load_mni152_wm_template(resolution=TEMPLATE_SPACING_MM)
    offset = np.rint(np.linalg.inv(grey.affine) @ template.affine[:, 3]).astype(int)[:3]
    box = tuple(
        slice(start, start + size)
        for start, size in zip(offset, template.mask_XYZ.shape, strict=True)
    )
    grey_XYZ, white_XYZ = (np.asarray(image.dataobj, np.float32)[box] for image in (grey, white))
    labels_XYZ = np.zeros(template.mask_XYZ.shape, dtype=np.uint8)
    labels_XYZ[(grey_XYZ + white_XYZ) < MAX_TISSUE_IN_CSF] = TISSUES["csf"]
    labels_XYZ[grey_XYZ > MIN_PROBABILITY] = TISSUES["grey"]
    labels_XYZ[white_XYZ > MIN_PROBABILITY] = TISSUES["white"]
    labels_XYZ[~template.mask_XYZ] = 0
    return labels_XYZ
