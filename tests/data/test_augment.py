import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchio

from brainage.data.artefacts import Anisotropy, Artefacts, Ghosting, Motion, Spike
from brainage.data.augment import Variation, apply_variation, draw_variation
from brainage.data.config import AugmentationConfig

NOTHING = AugmentationConfig(
    flip_probability=0,
    affine_probability=0,
    bias_field_probability=0,
    gamma_probability=0,
    noise_probability=0,
)
ALWAYS = AugmentationConfig(
    flip_probability=1,
    affine_probability=1,
    bias_field_probability=1,
    gamma_probability=1,
    noise_probability=1,
    motion_probability=1,
    ghosting_probability=1,
    spike_probability=1,
    anisotropy_probability=1,
)
FIELD = tuple(0.3 * (-1) ** place for place in range(20))
STEPS = {
    "affine": Variation(
        affine=torchio.Affine(
            scales=(1.04, 0.97, 1.02), degrees=(6, -4, 5), translation=(1, 0, -1),
            default_pad_value=0,
        )
    ),
    "field": Variation(field_coefficients=FIELD),
    "gamma": Variation(gamma=1.3),
    "noise": Variation(noise_std=0.2),
    "motion": Variation(
        artefacts=Artefacts(
            motion=Motion(1, ((5, 0, -5), (0, 4, 0)), ((1, 0, 0), (0, -1, 1)), (0.3, 0.6))
        )
    ),
    "ghosting": Variation(artefacts=Artefacts(ghosting=Ghosting(1, 4, 0.5))),
    "spike": Variation(artefacts=Artefacts(spike=Spike((0.3, 0.6, 0.55), 0.3))),
    "anisotropy": Variation(artefacts=Artefacts(anisotropy=Anisotropy(2, 3.0))),
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def volume():
    """A smooth, z-scored ellipsoid with a bright left side, 0 outside."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (20, 24, 20)), indexing="ij"))
    inside = (grid**2).sum(axis=0) < 0.5
    bright = 2 + np.cos(4 * grid[1]) + 0.5 * grid[2] - grid[0]
    bright = (bright - bright[inside].mean()) / bright[inside].std() * inside
    return torch.from_numpy(bright.astype(np.float32))[None]


def test_nothing_drawn_is_nothing_done(volume):
    variation = draw_variation(NOTHING, generator())
    assert variation == Variation()
    assert torch.equal(apply_variation(volume, variation, generator()), volume)


def test_flip_mirrors_left_and_right_only(volume):
    flipped = apply_variation(volume, Variation(flip=True), generator())
    assert torch.equal(flipped, volume.flip(1))
    assert not torch.equal(flipped, volume)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_changes_the_brain_and_keeps_its_mean_and_deviation(volume, step):
    before = volume.clone()
    varied = apply_variation(volume, STEPS[step], generator())
    assert torch.equal(volume, before), "the input was changed"
    assert varied.shape == volume.shape
    assert varied.dtype == torch.float32
    assert torch.isfinite(varied).all()
    assert not torch.allclose(varied, volume, atol=0.01)
    brain, expected = varied[varied != 0], volume[volume != 0]
    assert brain.mean().item() == pytest.approx(expected.mean().item(), abs=1e-3)
    assert brain.std().item() == pytest.approx(expected.std().item(), rel=1e-3)


@pytest.mark.parametrize("step", sorted(STEPS.keys() - {"affine"}))
def test_the_background_stays_0_where_nothing_moves(volume, step):
    varied = apply_variation(volume, STEPS[step], generator())
    assert torch.equal(varied != 0, volume != 0)


def test_a_moved_brain_keeps_its_size_and_rim(volume):
    shift = torchio.Affine(
        scales=(1, 1, 1), degrees=(0, 0, 0), translation=(0.4, 0, 0), default_pad_value=0
    )
    uniform = (volume != 0) * 3.0
    uniform[0, 10, 12, 10] = 2.0
    varied = apply_variation(uniform, Variation(affine=shift), generator())
    assert (varied != 0).sum().item() == pytest.approx((uniform != 0).sum().item(), rel=0.02)
    # up to 0.4 of background is mixed into the rim, and must not be seen there
    rim = varied[varied != 0]
    near = torch.isclose(rim, rim.median(), atol=1e-3).sum()
    assert near >= len(rim) - 2


def test_a_shift_moves_by_whole_voxels_towards_the_right_of_a_ras_volume(volume):
    shift = torchio.Affine(
        scales=(1, 1, 1), degrees=(0, 0, 0), translation=(2, 0, 0), default_pad_value=0
    )
    varied = apply_variation(volume, Variation(affine=shift), generator())
    assert torch.allclose(varied[:, 2:], volume[:, :-2], atol=1e-4)


def test_the_field_is_torchios_to_within_its_interpolation():
    ones = torch.ones(1, 24, 28, 24)
    ones[0, 0] = 0
    inside = ones != 0
    truth = torch.from_numpy(torchio.BiasField.generate_bias_field(ones, 3, list(FIELD)))
    ramp = ones + torch.linspace(0, 1, 28)[None, None, :, None] * ones
    varied = apply_variation(ramp, Variation(field_coefficients=FIELD), generator())
    expected = ((ramp - 1) * truth)[inside]
    expected = (expected - expected.mean()) / expected.std()
    got = (varied[inside] - varied[inside].mean()) / varied[inside].std()
    assert (got - expected).abs().mean() < 0.05


def test_draws_stay_in_range_and_depend_on_the_generator_alone():
    config = ALWAYS
    state = torch.random.get_rng_state()
    draws = [draw_variation(config, generator(seed)) for seed in range(300)]
    assert torch.equal(torch.random.get_rng_state(), state)
    gammas = [draw.gamma for draw in draws]
    assert math.exp(-0.2) <= min(gammas) < 0.85
    assert 1.18 < max(gammas) <= math.exp(0.2)
    stds = [draw.noise_std for draw in draws]
    assert 0 <= min(stds) < 0.005
    assert 0.095 < max(stds) <= 0.1
    angles = [angle for draw in draws for angle in draw.affine.degrees]
    assert -6 <= min(angles) < -5.8
    assert 5.8 < max(angles) <= 6
    shifts = [shift for draw in draws for shift in draw.affine.translation]
    assert max(map(abs, shifts)) <= 1
    assert all(len(draw.field_coefficients) == 20 for draw in draws)
    assert max(abs(c) for draw in draws for c in draw.field_coefficients) <= 0.2
    again = draw_variation(config, generator(7))
    assert again.gamma == draws[7].gamma
    assert again.affine.scales == draws[7].affine.scales


def test_probabilities_are_kept_and_do_not_disturb_one_another():
    default = [draw_variation(AugmentationConfig(), generator(seed)) for seed in range(600)]
    assert sum(draw.flip for draw in default) == pytest.approx(300, abs=50)
    assert sum(draw.gamma is not None for draw in default) == pytest.approx(180, abs=50)
    always = [draw_variation(ALWAYS, generator(seed)) for seed in range(600)]
    assert all(one.gamma in {None, other.gamma} for one, other in zip(default, always, strict=True))


def test_global_randomness_is_not_touched(volume):
    state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    apply_variation(volume, draw_variation(ALWAYS, generator()), generator())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_an_empty_volume_stays_empty():
    empty = torch.zeros(1, 8, 8, 8)
    variation = draw_variation(ALWAYS, generator())
    assert torch.equal(apply_variation(empty, variation, generator()), empty)


def test_a_brain_of_one_value_stays_finite():
    flat = torch.zeros(1, 8, 8, 8)
    flat[:, 2:6, 2:6, 2:6] = 1.5
    varied = apply_variation(flat, draw_variation(ALWAYS, generator()), generator())
    assert torch.isfinite(varied).all()


def test_an_artefact_leaves_all_else_that_is_drawn_as_it_was(volume):
    """Noise too, which is drawn when it is applied: only the spike sets the two apart."""
    settings = {"flip_probability": 0.5, "noise_probability": 1.0, "bias_field_probability": 1.0}
    for seed in range(5):
        plain, spoilt = generator(seed), generator(seed)
        one = draw_variation(AugmentationConfig(**settings), plain)
        other = draw_variation(AugmentationConfig(**settings, spike_probability=1), spoilt)
        assert replace(other, artefacts=one.artefacts, affine=one.affine) == one
        expected = generator(seed)
        torch.rand(36, generator=expected)
        assert torch.equal(plain.get_state(), spoilt.get_state())
        assert torch.equal(plain.get_state(), expected.get_state())
