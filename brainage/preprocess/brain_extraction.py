"""Brain extraction: which voxels of the scan are brain, and whether somebody did it before."""

from dataclasses import replace

import numpy as np

from brainage.errors import ScanError
from brainage.preprocess.bias_field import corrected_scan
from brainage.preprocess.config import BrainExtractionConfig
from brainage.preprocess.foreground import (
    Foreground,
    bounding_box,
    find_foreground,
    voxel_volume_ml,
)
from brainage.preprocess.state import Brain, Mask, ScanState
from brainage.preprocess.upright import FindMask, upright_mask

BOX_MARGIN_VOXELS = 2


class ExtractBrain:
    """Find the brain's voxels by the configured method and crop to them."""

    name = "brain_extraction"

    def __init__(self, config: BrainExtractionConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Add ``brain`` and the quality numbers ``brain_volume_ml`` and ``foreground_fraction``."""
        scan = state.scan
        foreground = find_foreground(scan)
        mask_XYZ, source = self._brain_mask(state, foreground)
        volume_ml = float(np.count_nonzero(mask_XYZ)) * voxel_volume_ml(scan)
        low, high = self.config.min_brain_ml, self.config.max_brain_ml
        if not low <= volume_ml <= high:
            raise ScanError(
                scan.source,
                self.name,
                f"expected a brain of {low:g} to {high:g} ml, found {volume_ml:.0f} ml ({source})",
            )
        quality = {
            **state.quality,
            "brain_volume_ml": volume_ml,
            "foreground_fraction": float(foreground.mask_XYZ.mean(dtype=np.float64)),
        }
        return replace(state, brain=_cropped(mask_XYZ, source), quality=quality)

    def _brain_mask(self, state: ScanState, foreground: Foreground) -> tuple[Mask, str]:
        scan, method = state.scan, self.config.method
        if method == "none":
            return foreground.mask_XYZ, "none"
        if self.config.recognise_stripped and foreground.is_stripped(self.config.max_brain_ml):
            return foreground.mask_XYZ, "already stripped"
        corrected = replace(scan, data_XYZ=corrected_scan(scan, state.bias))
        find = _finder(method)
        mask_XYZ = (
            find(corrected) if state.pose is None else upright_mask(find, corrected, state.pose)
        )
        if mask_XYZ is None or not mask_XYZ.any():
            raise ScanError(scan.source, self.name, f"expected a brain, {method} found none")
        return mask_XYZ, method


def _finder(method: str) -> FindMask:
    """The function behind a method; imported late, for some need torch or ANTs, slow to load."""
    if method == "deepbet":
        from brainage.preprocess.deepbet import deepbet_mask  # noqa: PLC0415

        return lambda scan: deepbet_mask(scan.data_XYZ)
    if method == "template":
        from brainage.preprocess.template_extraction import template_brain_mask  # noqa: PLC0415

        return template_brain_mask
    from brainage.preprocess.external_extraction import PROGRAMS  # noqa: PLC0415

    return PROGRAMS[method]


def _cropped(mask_XYZ: Mask, source: str) -> Brain:
    """The smallest box around the mask, with a margin where the volume has room."""
    start_XYZ, stop_XYZ = bounding_box(mask_XYZ)
    start_XYZ = np.maximum(start_XYZ - BOX_MARGIN_VOXELS, 0)
    stop_XYZ = np.minimum(stop_XYZ + BOX_MARGIN_VOXELS, mask_XYZ.shape)
    box = tuple(slice(a, b) for a, b in zip(start_XYZ, stop_XYZ, strict=True))
    return Brain(np.ascontiguousarray(mask_XYZ[box]), start_XYZ, source)
