"""Intensity: the same scale for every scanner, inside the mask."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brainage.errors import ScanError
from brainage.preprocess.config import IntensityConfig
from brainage.preprocess.state import ScanState
from brainage.preprocess.template import load_template

Values = npt.NDArray[np.float64]

# White Stripe: the middle tenth of the distribution around the peak of white matter.
STRIPE_HALF_WIDTH = 0.05
HISTOGRAM_BINS = 200
SMOOTHING_BINS = 3.0
NUM_QUANTILES = 101


class NormaliseIntensity:
    """Scale the mask's intensities by the configured method; 0 outside the mask."""

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
        scaled, low, high = self._scaled(inside, mean, std)
        if not np.isfinite(scaled).all():
            reason = f"{self.config.method} found no spread to scale by"
            raise ScanError(state.scan.source, self.name, reason)
        data_XYZ = np.zeros(volume.data_XYZ.shape, dtype=np.float32)
        data_XYZ[volume.mask_XYZ] = np.clip(scaled, low, high)
        clipped = float(np.mean((scaled < low) | (scaled > high)))
        quality = {**state.quality, "clipped_fraction": clipped}
        return replace(state, volume=replace(volume, data_XYZ=data_XYZ), quality=quality)

    def _scaled(self, inside: Values, mean: float, std: float) -> tuple[Values, float, float]:
        """The scaled values and the limits to clip them to."""
        config = self.config
        if config.method == "percentile":
            low, high = np.percentile(inside, [config.low_percentile, config.high_percentile])
            with np.errstate(divide="ignore", invalid="ignore"):
                return (inside - low) / (high - low), 0.0, 1.0
        if config.method == "whitestripe":
            stripe_mean, stripe_std = white_stripe(inside)
            with np.errstate(divide="ignore", invalid="ignore"):
                return (inside - stripe_mean) / stripe_std, -np.inf, np.inf
        if config.method == "histogram":
            return match_template(inside), 0.0, 1.0
        return (inside - mean) / std, -config.clip, config.clip


def white_stripe(inside: Values) -> tuple[float, float]:
    """Mean and standard deviation of normal-appearing white matter.

    The last peak of the smoothed histogram of a T1w brain is white matter; the stripe is what lies
    within five per cent of the distribution on either side of it.

    Source: Shinohara et al. 2014, NeuroImage: Clinical 6:9, for a single T1w image.
    """
    top = float(np.percentile(inside, 99.5))
    counts, edges = np.histogram(inside, HISTOGRAM_BINS, (float(inside.min()), top))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), SMOOTHING_BINS, mode="nearest")
    peaks = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])) + 1
    peaks = peaks[smooth[peaks] > 0.2 * smooth.max()]
    peak = int(peaks[-1]) if peaks.size else int(smooth.argmax())
    place = float(np.mean(inside <= (edges[peak] + edges[peak + 1]) / 2))
    limits = np.clip([place - STRIPE_HALF_WIDTH, place + STRIPE_HALF_WIDTH], 0, 1)
    low, high = np.quantile(inside, limits)
    stripe = inside[(inside >= low) & (inside <= high)]
    return float(stripe.mean()), float(stripe.std())


def match_template(inside: Values) -> Values:
    """Map the quantiles of the mask to those of the template's brain, linearly in between.

    Source: Nyul and Udupa 1999, Magn Reson Med 42:1072, with a landmark every per cent.
    """
    template = load_template()
    shares = np.linspace(0, 1, NUM_QUANTILES)
    wanted = np.quantile(template.brain_XYZ[template.mask_XYZ].astype(np.float64), shares)
    return np.asarray(np.interp(inside, np.quantile(inside, shares), wanted), dtype=np.float64)
