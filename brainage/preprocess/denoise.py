"""Denoising: smooth noise away and leave edges where they are; off unless asked for."""

from dataclasses import replace

import numpy as np

from brainage.errors import ScanError
from brainage.preprocess.config import DenoiseConfig
from brainage.preprocess.foreground import background_value
from brainage.preprocess.state import Image, ScanState
from brainage.preprocess.threads import fix_itk, simple_itk

CURVATURE_TIME_STEP = 0.0625


class Denoise:
    """Replace the scan's voxels by smoothed ones, once.

    Source: curvature flow, Malladi and Sethian 1995, PNAS 92:7046; non-local means for Rician
    noise, Manjon et al. 2010, J Magn Reson Imaging 31:192. SimpleITK's and ANTs' implementations.
    """

    name = "denoise"

    def __init__(self, config: DenoiseConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add the quality number ``noise_removed_fraction``: SD of the change over the scan's."""
        if self.config.method == "none" or state.denoised:
            return state
        scan = state.scan
        fix_itk()
        if self.config.method == "curvature_flow":
            smooth_XYZ = _curvature_flow(scan.data_XYZ, self.config.iterations)
        else:
            smooth_XYZ = _nonlocal_means(scan.data_XYZ)
        if not np.isfinite(smooth_XYZ).all():
            raise ScanError(scan.source, self.name, "smoothing gave values that are not finite")
        # The background keeps its one exact value, by which a stripped scan is recognised.
        background = scan.data_XYZ == background_value(scan.data_XYZ)
        smooth_XYZ = np.where(background, scan.data_XYZ, smooth_XYZ)
        removed = float((scan.data_XYZ - smooth_XYZ).std(dtype=np.float64))
        share = removed / float(scan.data_XYZ.std(dtype=np.float64))
        return replace(
            state,
            scan=replace(scan, data_XYZ=smooth_XYZ),
            denoised=True,
            quality={**state.quality, "noise_removed_fraction": share},
        )


def _curvature_flow(data_XYZ: Image, iterations: int) -> Image:
    """In units of voxels, where the time step is the largest that is stable."""
    sitk = simple_itk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(data_XYZ.T))
    image = sitk.CurvatureFlow(image, CURVATURE_TIME_STEP, iterations)
    return np.ascontiguousarray(sitk.GetArrayFromImage(image).T, dtype=np.float32)


def _nonlocal_means(data_XYZ: Image) -> Image:
    import ants  # noqa: PLC0415 - deferred: takes seconds to load

    return np.asarray(ants.denoise_image(ants.from_numpy(data_XYZ)).numpy(), dtype=np.float32)
