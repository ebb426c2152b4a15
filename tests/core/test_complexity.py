import math

import pytest
import torch

from brainage.core.complexity import (
    MOMENTS,
    Complexity,
    adaptive_leader_fraction,
    data_complexity,
    multifractal_spectrum,
)


def cascade(share: float, levels: int) -> torch.Tensor:
    """A binomial measure: every half gets ``share`` or the rest of its parent's mass."""
    mass = torch.ones(1, dtype=torch.float64)
    for _ in range(levels):
        mass = torch.stack([mass * share, mass * (1 - share)], 1).flatten()
    return mass


@pytest.mark.parametrize("share", [0.2, 0.35])
def test_the_spectrum_of_a_binomial_cascade_is_the_analytic_one(share: float) -> None:
    spectrum = multifractal_spectrum(cascade(share, 9)[None])
    q = torch.tensor(MOMENTS, dtype=torch.float64)
    weight = share**q / (share**q + (1 - share) ** q)
    alpha = -(weight * math.log(share) + (1 - weight) * math.log(1 - share)) / math.log(2)
    f = -(weight * weight.log() + (1 - weight) * (1 - weight).log()) / math.log(2)
    assert torch.allclose(spectrum.alpha[0], alpha, atol=1e-12)
    assert torch.allclose(spectrum.f[0], f, atol=1e-12)
    assert float(spectrum.f.max()) == pytest.approx(1.0)
    expected = -0.5 * math.log2(share * (1 - share))
    assert float(spectrum.irregularity[0]) == pytest.approx(expected)


def test_uniform_mass_has_one_exponent_and_no_mass_counts_as_uniform() -> None:
    for mass in (torch.ones(2, 64), torch.zeros(2, 64)):
        spectrum = multifractal_spectrum(mass)
        assert float(spectrum.heterogeneity.max()) == pytest.approx(0.0, abs=1e-12)
        assert spectrum.irregularity.tolist() == pytest.approx([1.0, 1.0])


def test_scaling_intensities_changes_nothing() -> None:
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, scaled = data_complexity(images), data_complexity(7 * images - 3)
    assert scaled.heterogeneity == pytest.approx(plain.heterogeneity, rel=1e-4)
    assert scaled.irregularity == pytest.approx(plain.irregularity, rel=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 40, 56), (2, 1, 10, 12, 10)])
def test_images_and_volumes_of_any_size_are_measured(shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    complexity = data_complexity(inputs)
    assert complexity.heterogeneity > 0.01
    assert 0.9 < complexity.irregularity < 1.5


@pytest.mark.parametrize(
    ("mass", "message"),
    [
        (torch.ones(1, 12), "sequences of 16, 32, 64"),
        (torch.ones(1, 8), "sequences of 16, 32, 64"),
        (-torch.ones(1, 16), "non-negative mass"),
    ],
)
def test_sequences_that_cannot_be_partitioned_are_refused(mass: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        multifractal_spectrum(mass)


def test_vectors_have_no_curve() -> None:
    with pytest.raises(ValueError, match="images or volumes"):
        data_complexity(torch.ones(4, 10))


def test_more_irregular_data_get_more_leaders_within_bounds() -> None:
    fractions = [adaptive_leader_fraction(Complexity(0.5, a)) for a in (0.0, 0.8, 1.0, 2.0)]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.1, 1.0)
    assert 0.1 < fractions[1] < fractions[2] < 1
