"""Intensity: the same scale for every scanner, inside the mask."""

from dataclasses import replace

import numpy as np

from brainage.errors import ScanError
from brainage.preprocess.config import IntensityConfig
from brainage.preprocess.state import ScanState


class NormaliseIntensity:
    """Mean 0 and standard deviation 1 over the mask, clipped; 0 outside the mask."""

    name = "intensity"

    def __init__(self, config: IntensityConfig) -> None:
        self.config = config

    def __call__(self, state: ScanState) -> ScanState:
        """Replace the intensities of ``volume`` and add the quality number ``clipped_fraction``."""
        assert state.volume is not None
        volume = state.volume
        inside = volume.data_XYZ[volume.mask_XYZ].astype(np.float64)
        mean, std = float(inside.mean()), float(inside.std())
        # Relative: a constant image keeps rounding noise after the bias correction.
        if not std > 1e-6 * max(abs(mean), 1e-30):
            raise ScanError(
                state.scan.source,
                self.name,
                f"expected contrast inside the brain, got a standard deviation of {std:g} around "
                f"{mean:g}",
            )
        scores = (inside - mean) / std
        data_XYZ = np.zeros(volume.data_XYZ.shape, dtype=np.float32)
        data_XYZ[volume.mask_XYZ] = np.clip(scores, -self.config.clip, self.config.clip)
        clipped = float(np.mean(np.abs(scores) > self.config.clip))
        quality = {**state.quality, "clipped_fraction": clipped}
        return replace(state, volume=replace(volume, data_XYZ=data_XYZ), quality=quality)
