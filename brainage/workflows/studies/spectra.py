"""From pictures to sequences along the Hilbert curve, and from those to smooth spectra.

Shape letters: N images, T cells of a sequence, Q moments, P points of a smoothed spectrum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from scipy.interpolate import CubicSpline
from torch import Tensor

from brainage.config.studies import Mass, Resize
from brainage.core.complexity import multifractal_spectrum
from brainage.core.hilbert import hilbert_order

Numbers = npt.NDArray[np.float64]
POINTS = 201
AT_A_TIME = 16
LEVEL = 1 / 255


@dataclass(frozen=True)
class SmoothSpectra:
    """Spectra of N images, smoothed: ``alpha`` and ``f`` (N, P) along the moments, rising.

    ``heterogeneity`` w (N,) is the widest spread of alpha, ``irregularity`` alpha_0 (N,) the alpha
    where f is largest.
    """

    alpha: Numbers
    f: Numbers

    @property
    def heterogeneity(self) -> Numbers:
        """Width w = max alpha - min alpha of each image."""
        width: Numbers = self.alpha.max(1) - self.alpha.min(1)
        return width

    @property
    def irregularity(self) -> Numbers:
        """alpha_0 of each image."""
        found: Numbers = np.take_along_axis(self.alpha, self.f.argmax(1)[:, None], 1)[:, 0]
        return found


def resized(picture: Tensor, order: int, resize: Resize) -> Tensor:
    """A grey picture (H, W) on a square of ``2**order`` cells an axis, whatever its sides are.

    Args:
        picture: on the scale 0 to 1.
        order: of the Hilbert curve.
        resize: ``area`` takes means over areas (and repeats where the picture grows), ``bilinear``
            interpolates without aliasing, ``nearest`` takes the nearest pixel.
    """
    size = (2**order, 2**order)
    image = picture[None, None].float()
    if resize == "bilinear":
        cells = F.interpolate(image, size=size, mode=resize, antialias=True, align_corners=False)
    else:
        cells = F.interpolate(image, size=size, mode="area" if resize == "area" else "nearest")
    return cells[0, 0]


def sequence(cells: Tensor, mass: Mass) -> Tensor:
    """Square cells as a non-negative sequence (T,) along the Hilbert curve.

    Args:
        cells: (2**order, 2**order), on the scale 0 to 1.
        mass: how intensities become mass; see ``ComplexityStudyConfig``.
    """
    order = cells.shape[0].bit_length() - 1
    along = cells.flatten()[hilbert_order(order, 2)]
    if mass == "subtract_least":
        return along - along.min()
    return along.clamp_min(0) + (LEVEL if mass == "no_empty_cell" else 0.0)


def moments_to(largest: float) -> tuple[float, ...]:
    """Moments q from minus ``largest`` to ``largest`` in steps of a half."""
    count = int(2 * largest)
    return tuple(0.5 * q for q in range(-count, count + 1))


def smooth_spectra(
    pictures: Sequence[Tensor],
    *,
    order: int,
    resize: Resize,
    mass: Mass,
    largest_moment: float,
) -> SmoothSpectra:
    """Spectra of pictures, each smoothed by a cubic spline through its moments.

    alpha and f are points of a curve with the moment q along it; the spline runs through both as
    functions of q, since alpha alone need not rise. Its ends are those of the moments, so the width
    depends on how far the moments reach.

    Args:
        pictures: grey, (H, W) each.
        order: of the Hilbert curve.
        resize: to the curve's cells.
        mass: how intensities become mass.
        largest_moment: |q| of the outermost moments.

    Source: supplement, "Adaptive Leadership Fraction Based on Dataset Complexity"; the estimator is
    ``multifractal_spectrum``.
    """
    moments = moments_to(largest_moment)
    alphas, fs = [], []
    for start in range(0, len(pictures), AT_A_TIME):
        rows = [sequence(resized(p, order, resize), mass)
                for p in pictures[start : start + AT_A_TIME]]  # fmt: skip
        spectrum = multifractal_spectrum(torch.stack(rows), moments)
        alphas.append(spectrum.alpha.numpy())
        fs.append(spectrum.f.numpy())
    along = np.linspace(moments[0], moments[-1], POINTS)
    alpha, f = (CubicSpline(moments, np.concatenate(v), axis=1)(along) for v in (alphas, fs))
    return SmoothSpectra(alpha, f)
