"""Quality figures of one scan: how well it was aligned, and how much the scan itself is worth.

Everything is measured on the scan's own voxels or on the template's 2 mm grid, so a figure does not
depend on the target grid. Tissue is where the template has it, moved to the scan: the alignment is
affine, so tissue figures are of the same kind as MRIQC's, which segments each scan, but not of the
same size. No figure needs air around the head, which stripped and defaced scans do not have.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.preprocess.bias_field import corrected_brain
from brainage.preprocess.resample import resample_brain
from brainage.preprocess.state import Image, ScanState
from brainage.preprocess.template import TEMPLATE_SPACING_MM, load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels

# Raise it with every change of the code that changes a figure.
QUALITY_VERSION = 1

NUM_HISTOGRAM_BINS = 32
MIN_TISSUE_VOXELS = 100
# The standard deviation of a normal distribution in units of its median absolute deviation.
SD_PER_MAD = 1.4826

Side = Literal["low", "high", "both", "none"]


@dataclass(frozen=True)
class Figure:
    """A quality figure; ``suspect`` is the side on which a value is worth a look.

    ``none``: it depends on the field of view and on whether the scan was stripped before.
    ``optional``: of a step that settings can leave out.
    """

    name: str
    unit: str
    places: int
    suspect: Side
    meaning: str
    optional: bool = False

    @property
    def label(self) -> str:
        """The name in words, without the unit that it ends with."""
        return self.name.removesuffix("_ml").removesuffix("_degrees").replace("_", " ")


FIGURES = (
    Figure("brain_volume_ml", "ml", 0, "both", "volume of the brain mask"),
    Figure("template_dice", "", 3, "low", "overlap of the aligned brain mask with the template's"),
    Figure("template_correlation", "", 3, "low", "Pearson's r with the template, in both masks"),
    Figure("template_nmi", "", 3, "low", "normalised mutual information with the template, 1 to 2"),
    Figure("snr_total", "", 2, "low", "mean over grey, white and CSF of median / SD"),
    Figure("cnr", "", 2, "low", "distance of the grey and white medians / their joint SD"),
    Figure("cjv", "", 2, "high", "spread of grey and white / distance of their medians"),
    Figure(
        "bias_field_spread", "", 3, "high", "SD of the bias field's logarithm in the brain", True
    ),
    Figure("foreground_fraction", "", 3, "none", "share of the volume that is not background"),
    Figure("rotation_degrees", "°", 1, "high", "how far the head was turned to fit the template"),
    Figure("scale", "", 3, "both", "mean linear factor from the scan to the template"),
)


def measure_quality(state: ScanState) -> dict[str, float]:
    """All of ``FIGURES`` that the scan has; one that is not defined for it is absent.

    Args:
        state: with brain and registration found; figures of the steps are in its ``quality``.
    """
    figures = {**state.quality, **tissue_figures(state)}
    nmi = _template_nmi(state)
    if nmi is not None:
        figures["template_nmi"] = nmi
    return {f.name: float(figures[f.name]) for f in FIGURES if f.name in figures}


def tissue_figures(state: ScanState) -> dict[str, float]:
    """``snr_total``, ``cnr`` and ``cjv`` on the scan's own voxels, after bias correction.

    Source: definitions of MRIQC (Esteban et al. 2017, PLoS ONE 12:e0184661), after Magnotta et al.
        2006 (CNR, SNR) and Ganzetti et al. 2016 (CJV); without the air's variance in ``cnr``.
    """
    assert state.brain is not None
    assert state.scan_to_template is not None
    box_to_template = state.scan_to_template @ state.brain.affine(state.scan.affine)
    to_voxels = np.linalg.inv(load_template().affine) @ box_to_template
    labels_XYZ = ndimage.affine_transform(
        load_tissue_labels(),
        to_voxels[:3, :3],
        to_voxels[:3, 3],
        output_shape=state.brain.mask_XYZ.shape,
        order=0,
    )
    labels_XYZ[~state.brain.mask_XYZ] = 0
    image_XYZ = corrected_brain(state.scan, state.brain, state.bias)
    values = {name: image_XYZ[labels_XYZ == label] for name, label in TISSUES.items()}
    if min(part.size for part in values.values()) < MIN_TISSUE_VOXELS:
        return {}
    median = {name: float(np.median(part)) for name, part in values.items()}
    sd = {name: float(part.std(dtype=np.float64, ddof=1)) for name, part in values.items()}
    figures = {}
    if min(sd.values()) > 0:
        figures["snr_total"] = float(np.mean([median[name] / sd[name] for name in TISSUES]))
    distance = abs(median["white"] - median["grey"])
    if sd["grey"] + sd["white"] > 0:
        figures["cnr"] = distance / float(np.hypot(sd["grey"], sd["white"]))
    if distance > 0:
        spreads = [_spread(values[name], median[name]) for name in ("grey", "white")]
        figures["cjv"] = sum(spreads) / distance
    return figures


def normalised_mutual_information(
    first: npt.ArrayLike, second: npt.ArrayLike, num_bins: int = NUM_HISTOGRAM_BINS
) -> float | None:
    """(H(A) + H(B)) / H(A, B): 1 when independent, 2 when each decides the other.

    Args:
        first: intensities (N,).
        second: intensities (N,) of the same places.
        num_bins: of each axis of the joint histogram, between the 0.5 % quantiles.
    Returns:
        None when one of the two is constant.
    Source: Studholme et al. 1999, Pattern Recognition 32:71.
    """
    bins = [_binned(np.asarray(part, dtype=np.float64), num_bins) for part in (first, second)]
    joint = np.bincount(bins[0] * num_bins + bins[1], minlength=num_bins**2)
    shares = joint.reshape(num_bins, num_bins) / max(joint.sum(), 1)
    parts = [_entropy(shares.sum(axis=axis)) for axis in (0, 1)]
    if min(parts) <= 0:
        return None
    return sum(parts) / _entropy(shares.ravel())


def _template_nmi(state: ScanState) -> float | None:
    assert state.scan_to_template is not None
    template = load_template()
    grid_to_scan = np.linalg.inv(state.scan_to_template) @ template.affine
    image_XYZ, mask_XYZ = resample_brain(
        state, grid_to_scan, template.mask_XYZ.shape, TEMPLATE_SPACING_MM
    )
    both_XYZ = mask_XYZ & template.mask_XYZ
    if not both_XYZ.any():
        return None
    return normalised_mutual_information(image_XYZ[both_XYZ], template.brain_XYZ[both_XYZ])


def _binned(values: npt.NDArray[np.float64], num_bins: int) -> npt.NDArray[np.intp]:
    low, high = np.quantile(values, [0.005, 0.995])
    scaled = (values - low) / max(high - low, 1e-12)
    return np.asarray(np.clip(scaled * num_bins, 0, num_bins - 1), dtype=np.intp)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    present = shares[shares > 0]
    return float(-np.sum(present * np.log(present)))


def _spread(values: Image, median: float) -> float:
    return SD_PER_MAD * float(np.median(np.abs(values - np.float32(median))))
