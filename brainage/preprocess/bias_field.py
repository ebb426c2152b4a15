"""Bias field: the slow drift of intensities across the head, estimated inside the brain."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from brainage.errors import ScanError
from brainage.preprocess.config import BiasFieldConfig
from brainage.preprocess.state import BiasField, Brain, Image, Mask, ScanState
from brainage.preprocess.threads import simple_itk
from brainage.scans.nifti import Scan

CONVERGENCE = 1e-3


class EstimateBiasField:
    """Estimate the field with N4 on block means of the brain's voxels.

    Source: N4ITK, Tustison et al. 2010, IEEE TMI 29:1310; the implementation is SimpleITK's. It
    runs in one thread: the sums of its B-spline fit depend on the number of threads.
    """

    name = "bias_field"

    def __init__(self, config: BiasFieldConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``bias`` and the quality number ``bias_field_spread``: its SD in log units.

        Inside the brain where it is known already, inside the head otherwise.
        """
        if self.config.method == "none":
            return state
        scan = state.scan
        brain = state.brain or _head(scan)
        ratio = self.config.spacing_mm / scan.spacing_mm
        block_XYZ = np.maximum(np.rint(ratio), 1).astype(np.int64)
        means, inside = _block_means(brain.crop(scan.data_XYZ), brain.mask_XYZ, block_XYZ)
        # N4 takes logarithms; a brain voxel can be zero or, after earlier processing, negative.
        inside &= means > 0
        if np.count_nonzero(inside) < 200:
            raise ScanError(
                scan.source,
                self.name,
                "expected positive intensities in the brain, got "
                f"{np.count_nonzero(inside)} positive blocks of {self.config.spacing_mm:g} mm",
            )
        try:
            log_XYZ = self._n4(means, inside, scan.spacing_mm * block_XYZ)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ScanError(scan.source, self.name, f"N4 failed: {reason}") from error
        # Only the shape of the field matters: keep the mean log intensity where it was.
        log_XYZ -= np.float32(log_XYZ[inside].mean(dtype=np.float64))
        if not np.isfinite(log_XYZ).all():
            raise ScanError(scan.source, self.name, "N4 gave a field that is not finite")
        spread = float(log_XYZ[inside].std(dtype=np.float64))
        quality = {**state.quality, "bias_field_spread": spread}
        bias = BiasField(log_XYZ, block_XYZ, brain.start_XYZ)
        return replace(state, bias=bias, quality=quality)

    def _n4(self, means: Image, inside: Mask, spacing_mm: npt.NDArray[np.float64]) -> Image:
        """Natural logarithm of the field at every block; SimpleITK's arrays are in ZYX order."""
        sitk = simple_itk()
        image = sitk.GetImageFromArray(np.ascontiguousarray(means.T))
        image.SetSpacing([float(step) for step in spacing_mm])
        mask = sitk.GetImageFromArray(np.ascontiguousarray(inside.T).astype(np.uint8))
        mask.CopyInformation(image)
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([self.config.iterations_per_level] * self.config.num_levels)
        n4.SetConvergenceThreshold(CONVERGENCE)
        n4.Execute(image, mask)
        log_ZYX = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
        return np.ascontiguousarray(log_ZYX.T, dtype=np.float32)


def corrected_brain(scan: Scan, brain: Brain, bias: BiasField | None) -> Image:
    """The box of the brain with the bias field, if there is one, divided out."""
    data_XYZ = brain.crop(scan.data_XYZ)
    if bias is None:
        return data_XYZ
    log_XYZ = bias.log_XYZ
    for axis, size in enumerate(data_XYZ.shape):
        first = int(brain.start_XYZ[axis] - bias.start_XYZ[axis])
        log_XYZ = _expand(log_XYZ, axis, first, size, int(bias.block_XYZ[axis]))
    return np.asarray(data_XYZ * np.exp(-log_XYZ), dtype=np.float32)


def corrected_scan(scan: Scan, bias: BiasField | None) -> Image:
    """The whole scan with the bias field, if there is one, divided out."""
    everything = Brain(np.ones(scan.data_XYZ.shape, dtype=bool), np.zeros(3, np.int64), "none")
    return corrected_brain(scan, everything, bias)


def _head(scan: Scan) -> Brain:
    """The voxels above Otsu's threshold, in a box that is the whole scan."""
    sitk = simple_itk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(scan.data_XYZ.T))
    head_ZYX = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1))
    return Brain(np.ascontiguousarray(head_ZYX.T) > 0, np.zeros(3, np.int64), "head")


def _block_means(
    data_XYZ: Image, mask_XYZ: Mask, block_XYZ: npt.NDArray[np.int64]
) -> tuple[Image, Mask]:
    """Mean over the brain voxels of each block, and which blocks are at least half brain."""
    pad = [(0, int(-size % block)) for size, block in zip(mask_XYZ.shape, block_XYZ, strict=True)]
    split: list[int] = []
    for (_, extra), size, block in zip(pad, mask_XYZ.shape, block_XYZ, strict=True):
        split += [(size + extra) // int(block), int(block)]
    values = np.pad(np.where(mask_XYZ, data_XYZ, np.float32(0)), pad).reshape(split)
    counts = np.pad(mask_XYZ, pad).reshape(split).sum(axis=(1, 3, 5))
    sums = values.sum(axis=(1, 3, 5), dtype=np.float64)
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    return means, counts >= 0.5 * int(np.prod(block_XYZ))


def _expand(values: Image, axis: int, first: int, size: int, block: int) -> Image:
    """Interpolate linearly along one axis from block centres to ``size`` voxels from ``first`` on.

    Written out instead of a matrix product, whose last bits depend on the number of threads.
    """
    position = (first + np.arange(size) + 0.5) / block - 0.5
    position = np.clip(position, 0, values.shape[axis] - 1)
    lower = np.minimum(position.astype(np.int64), max(values.shape[axis] - 2, 0))
    upper = np.minimum(lower + 1, values.shape[axis] - 1)
    shape = [1, 1, 1]
    shape[axis] = size
    share = (position - lower).astype(np.float32).reshape(shape)
    below, above = values.take(lower, axis), values.take(upper, axis)
    return np.asarray(below * (1 - share) + above * share, dtype=np.float32)
