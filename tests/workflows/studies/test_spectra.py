import math

import numpy as np
import pytest
import torch

from brainage.core.hilbert import hilbert_order
from brainage.workflows.studies.spectra import moments_to, resized, sequence, smooth_spectra

PLAIN = {"order": 5, "resize": "area", "mass": "raw", "largest_moment": 5.0}


def picture_of(along):
    """The square picture whose sequence along the curve is given."""
    order = int(math.log2(len(along))) // 2
    cells = torch.zeros(len(along))
    cells[hilbert_order(order, 2)] = along.float()
    return cells.reshape(2**order, 2**order)


def cascade(share, levels):
    mass = torch.ones(1, dtype=torch.float64)
    for _ in range(levels):
        mass = torch.stack([mass * share, mass * (1 - share)], 1).flatten()
    return mass


def test_a_sequence_follows_the_curve_and_becomes_mass_as_asked():
    along = torch.arange(5, 21).float() / 255
    cells = picture_of(along)
    assert torch.allclose(sequence(cells, "raw"), along)
    assert torch.allclose(sequence(cells, "subtract_least"), along - 5 / 255)
    assert torch.allclose(sequence(cells, "no_empty_cell"), along + 1 / 255)


@pytest.mark.parametrize("share", [0.3, 0.4])
def test_the_smooth_spectrum_of_a_cascade_is_the_analytic_one(share):
    along = cascade(share, 10)
    found = smooth_spectra([picture_of(along / along.max())], **PLAIN)
    q = np.linspace(-5, 5, found.alpha.shape[1])
    weight = share**q / (share**q + (1 - share) ** q)
    alpha = -(weight * np.log2(share) + (1 - weight) * np.log2(1 - share))
    assert found.alpha[0] == pytest.approx(alpha, abs=2e-3)
    assert found.heterogeneity[0] == pytest.approx(alpha.max() - alpha.min(), abs=2e-3)
    assert found.irregularity[0] == pytest.approx(-0.5 * np.log2(share * (1 - share)), abs=1e-3)
    assert found.f[0].max() == pytest.approx(1.0, abs=1e-4)


def test_pictures_of_any_size_are_measured_each_by_itself():
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.rand(size, generator=generator) for size in ((28, 28), (40, 33), (90, 64))]
    together = smooth_spectra(pictures, **PLAIN).heterogeneity
    alone = [float(smooth_spectra([each], **PLAIN).heterogeneity[0]) for each in pictures]
    assert together.tolist() == pytest.approx(alone)


def test_more_moments_widen_a_spectrum():
    picture = torch.rand(32, 32, generator=torch.Generator().manual_seed(1))
    widths = [
        float(smooth_spectra([picture], **{**PLAIN, "largest_moment": most}).heterogeneity[0])
        for most in (2.0, 5.0)
    ]
    assert widths[0] < widths[1]
    assert moments_to(1.0) == (-1.0, -0.5, 0.0, 0.5, 1.0)


def test_a_picture_shrinks_by_means_or_by_picking():
    picture = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).repeat(4, 4)
    assert torch.allclose(resized(picture, 2, "area"), torch.full((4, 4), 0.5))
    assert set(resized(picture, 2, "nearest").flatten().tolist()) <= {0.0, 1.0}
    assert resized(torch.ones(5, 9), 2, "bilinear").shape == (4, 4)
