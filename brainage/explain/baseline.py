"""What a volume is compared with: the mean of the scan's brain, or the template's brain.

Occlusion replaces a cube by the mean. Integrated gradients need a whole volume to start from, and a
flat one will not do for every network: group and instance normalisation stretch whatever contrast
there is, so that the age jumps at the first step away from a flat volume and no sum of gradients
follows it (by up to 27 years in the demonstration model). The template's brain has contrast: the
map then tells what makes this brain's age differ from that of the template.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.grid import ResampleToGrid
from brainage.preprocess.intensity import NormaliseIntensity
from brainage.preprocess.state import Brain, Image, Mask, ScanState, Volume
from brainage.preprocess.template import load_template
from brainage.scans.nifti import Scan


def mean_volume(volume_XYZ: Image, mask_XYZ: Mask) -> Image:
    """The mean of the brain everywhere inside it, and the background's zero outside.

    After z-scoring the mean is zero up to the clipping, so that this is a volume of zeros.
    """
    mean = volume_XYZ[mask_XYZ].mean(dtype=np.float64)
    return np.where(mask_XYZ, np.float32(mean), np.float32(0))


def template_volume(config: PreprocessConfig) -> Volume:
    """The template's brain as if it were a scan: the same grid, the same intensities."""
    template = load_template()
    start_XYZ: npt.NDArray[np.int64] = np.zeros(3, dtype=np.int64)
    state = ScanState(
        Scan(template.brain_XYZ, template.affine, Path("template"), template.sha256),
        brain=Brain(template.mask_XYZ, start_XYZ, "template"),
        scan_to_template=np.eye(4),
    )
    state = NormaliseIntensity(config.intensity)(ResampleToGrid(config.grid)(state))
    assert state.volume is not None
    return state.volume
