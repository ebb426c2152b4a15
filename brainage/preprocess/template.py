"""The MNI152 brain template that scans are aligned with, and its hash.

Source: ICBM 152 nonlinear 2009a symmetric (Fonov et al. 2011, NeuroImage 54:313), as shipped
inside nilearn; nothing is downloaded.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

TEMPLATE_NAME = "MNI152NLin2009aSym"
TEMPLATE_SPACING_MM = 2


@dataclass(frozen=True)
class Template:
    """The brain-only T1w template at 2 mm, cropped to the brain plus a margin.

    ``brain_XYZ`` is 0 outside ``mask_XYZ`` and a multiple of 1/255 inside: it is made from the
    8 bits that ``sha256`` is computed over, so what is hashed is what is used.
    """

    brain_XYZ: npt.NDArray[np.float32]
    mask_XYZ: npt.NDArray[np.bool_]
    affine: npt.NDArray[np.float64]
    sha256: str


@cache
def load_template() -> Template:
    """The template of this process, read once from nilearn's files."""
    # Deferred: nilearn pulls in scikit-learn, which commands that never touch a scan do not need.
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template  # noqa: PLC0415

    image = load_mni152_template(resolution=TEMPLATE_SPACING_MM)
    mask_XYZ = np.asarray(load_mni152_brain_mask(resolution=TEMPLATE_SPACING_MM).dataobj) > 0
    levels_XYZ = np.rint(255 * np.clip(image.get_fdata(), 0, 1)).astype(np.uint8) * mask_XYZ
    margin = 5
    inside = np.argwhere(mask_XYZ)
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, mask_XYZ.shape)
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ low
    levels_XYZ, mask_XYZ = (
        np.ascontiguousarray(levels_XYZ[box]),
        np.ascontiguousarray(mask_XYZ[box]),
    )
    digest = hashlib.sha256()
    for part in (levels_XYZ, mask_XYZ, affine):
        digest.update(str(part.shape).encode() + part.tobytes())
    brain_XYZ = levels_XYZ.astype(np.float32) / np.float32(255)
    return Template(brain_XYZ, mask_XYZ, affine, digest.hexdigest())
