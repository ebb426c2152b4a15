"""How complex data are: the multifractal spectrum of images read along a Hilbert curve.

Source: supplement, "Adaptive Leadership Fraction Based on Dataset Complexity" (which names the
measures and no estimator). Shape letters: N samples, T cells of a sequence, Q moments.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from brainage.core.hilbert import hilbert_order

ORDER = 5
"""Images are resized to 2**5 cells an axis, as the supplement does for MNIST."""
MOST_SAMPLES = 512
"""Samples that are looked at: the first ones, so that the result is the same every time."""
MOMENTS = tuple(0.5 * q for q in range(-10, 11))
COARSEST_BOXES = 4
"""Boxes of the coarsest partition; fewer say nothing about a slope."""
TINY = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """Multifractal spectra of N sequences: f(alpha) for each moment, both of shape (N, Q).

    ``alpha``: Lipschitz-Holder exponents. ``f``: dimension of the set of cells that have them.
    """

    alpha: Tensor
    f: Tensor

    @property
    def heterogeneity(self) -> Tensor:
        """Width w = max alpha - min alpha of each spectrum, shape (N,)."""
        return self.alpha.amax(1) - self.alpha.amin(1)

    @property
    def irregularity(self) -> Tensor:
        """alpha_0, the exponent at which f is largest, of each spectrum, shape (N,)."""
        return self.alpha.gather(1, self.f.argmax(1, keepdim=True))[:, 0]


@dataclass(frozen=True)
class Complexity:
    """Means over samples of the two measures."""

    heterogeneity: float
    irregularity: float


def multifractal_spectrum(mass_NT: Tensor, moments: tuple[float, ...] = MOMENTS) -> Spectrum:
    """Spectra of non-negative sequences by the direct method.

    For boxes of every size 1, 2, 4, ... and every moment q, the normalised measures
    mu = p**q / sum p**q of the boxes' shares p of the mass give alpha and f as the slopes of
    sum mu log p and sum mu log mu against the log of the box size. Empty boxes do not count.

    Args:
        mass_NT: sequences of a length that is a power of two, at least 16; a sequence without any
            mass counts as uniform.
        moments: the values of q.

    Raises:
        ValueError: for another length or negative mass.
    Source: Chhabra & Jensen 1989, Physical Review Letters 62:1327.
    """
    length = mass_NT.shape[1]
    if length < 16 or length & (length - 1):
        raise ValueError(f"expected sequences of 16, 32, 64, ... cells, got {length}")
    if bool((mass_NT < 0).any()):
        raise ValueError("expected non-negative mass")
    mass = mass_NT.double()
    mass = torch.where(mass.sum(1, keepdim=True) > 0, mass, torch.ones_like(mass))
    share = mass / mass.sum(1, keepdim=True)
    q_Q11 = torch.tensor(moments, dtype=torch.float64)[:, None, None]
    sizes, alphas, dimensions = [], [], []
    while share.shape[1] >= COARSEST_BOXES:
        log_p = share.clamp_min(TINY * TINY).log()
        weight = torch.where(share > 0, q_Q11 * log_p, -torch.inf)
        log_mu = weight - weight.logsumexp(2, keepdim=True)
        mu = log_mu.exp()
        alphas.append((mu * log_p).sum(2).T)
        dimensions.append(torch.where(mu > 0, mu * log_mu, 0.0).sum(2).T)
        sizes.append(length // share.shape[1])
        share = torch.unflatten(share, 1, (-1, 2)).sum(2)
    log_size = torch.tensor([float(size) for size in sizes], dtype=torch.float64).log()
    return Spectrum(
        _slope(torch.stack(alphas), log_size), _slope(torch.stack(dimensions), log_size)
    )


def _slope(values_SNQ: Tensor, at_S: Tensor) -> Tensor:
    """Least-squares slopes over the first axis, shape (N, Q)."""
    centred = (at_S - at_S.mean())[:, None, None]
    return (centred * values_SNQ).sum(0) / centred.square().sum()


def data_complexity(inputs: Tensor, *, most_samples: int = MOST_SAMPLES) -> Complexity:
    """Complexity of images or volumes.

    Each is made grey, brought to 2**5 cells an axis by averaging (repetition where it is smaller),
    and read along the Hilbert curve. Intensities become mass by subtracting the image's least.

    Args:
        inputs: (N, channels, X, Y) or (N, channels, X, Y, Z).
        most_samples: only the first so many are looked at.

    Raises:
        ValueError: unless the inputs have two or three spatial axes.
    """
    num_axes = inputs.ndim - 2
    if num_axes not in {2, 3}:
        raise ValueError(
            "complexity is measured along a Hilbert curve through images or volumes, got inputs of "
            f"shape {tuple(inputs.shape)}"
        )
    order = hilbert_order(ORDER, num_axes)
    spectra = [
        multifractal_spectrum(_sequences(part, order))
        for part in torch.split(inputs[:most_samples], 16)
    ]
    return Complexity(
        heterogeneity=float(torch.cat([each.heterogeneity for each in spectra]).mean()),
        irregularity=float(torch.cat([each.irregularity for each in spectra]).mean()),
    )


def _sequences(inputs: Tensor, order: Tensor) -> Tensor:
    """Images as non-negative sequences (N, T)."""
    grey = inputs.float().mean(1, keepdim=True)
    cells = F.interpolate(grey, size=(2**ORDER,) * (inputs.ndim - 2), mode="area").flatten(1)
    return (cells - cells.amin(1, keepdim=True))[:, order]


LEAST_FRACTION = 0.1
"""No fewer workers lead, however plain the data."""
FRACTION_AT_ONE = 0.8
FRACTION_SLOPE = 1.46
"""Least-squares line through four data sets, by ``pipelines.complexity``; see there and in
``docs/results/complexity_cpu.json``."""


def adaptive_leader_fraction(complexity: Complexity) -> float:
    """The share of workers that lead on data of this complexity, in [0.1, 1].

    A line in the irregularity alpha_0: more leaders where the data are more irregular. The record
    says so and gives no formula. The line goes through our irregularities of MNIST, CIFAR-10,
    Tiny-ImageNet and ImageNet (twenty images) and the published best fractions of LFNN-l on them.
    Irregularity orders these data sets as the record does; heterogeneity does not.

    Source: supplement, "Adaptive Leadership Fraction", tables S2 and S7.
    """
    fraction = FRACTION_AT_ONE + FRACTION_SLOPE * (complexity.irregularity - 1)
    return min(1.0, max(LEAST_FRACTION, fraction))
