import numpy as np
import pytest
import torch

from brainage.data.artefacts import (
    Anisotropy,
    Artefacts,
    Ghosting,
    Motion,
    Spike,
    apply_artefacts,
    draw_artefacts,
)
from brainage.data.config import AugmentationConfig

ALWAYS = AugmentationConfig(
    motion_probability=1, ghosting_probability=1, spike_probability=1, anisotropy_probability=1
)
STILL = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def bright():
    """A smooth ellipsoid of brightness above 0, off the centre of an uneven grid."""
    axes = (np.linspace(-1, 1, size) for size in (20, 24, 18))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    inside = ((grid - 0.1) ** 2).sum(axis=0) < 0.5
    bright = (3 + np.cos(4 * grid[1]) + 0.5 * grid[2] - grid[0]) * inside
    return torch.from_numpy(bright.astype(np.float32))[None]


def spoil(bright, **artefacts):
    return apply_artefacts(bright, bright != 0, Artefacts(**artefacts))


def test_no_artefact_is_drawn_unless_asked_for():
    assert all(draw_artefacts(AugmentationConfig(), seed) == Artefacts() for seed in range(50))


@pytest.mark.parametrize("kind", ["motion", "ghosting", "spike", "anisotropy"])
def test_probability_and_strength_of_one_artefact_change_no_other(kind):
    probability = {f"{kind}_probability": 0.3}
    drawn = [draw_artefacts(AugmentationConfig(**probability), seed) for seed in range(600)]
    assert sum(one != Artefacts() for one in drawn) == pytest.approx(180, abs=45)
    always = [draw_artefacts(ALWAYS, seed) for seed in range(600)]
    for one, other in zip(drawn, always, strict=True):
        assert getattr(one, kind) in {None, getattr(other, kind)}
        assert one == Artefacts(**{kind: getattr(one, kind)})


def test_draws_fill_their_ranges_and_no_more():
    drawn = [draw_artefacts(ALWAYS, seed) for seed in range(1500)]
    angles = [angle for one in drawn for turn in one.motion.degrees for angle in turn]
    shifts = [shift for one in drawn for move in one.motion.voxels for shift in move]
    assert max(map(abs, angles)) == pytest.approx(3, abs=0.05)
    assert max(map(abs, shifts)) == pytest.approx(1, abs=0.05)
    for one in drawn:
        first, second = one.motion.times
        assert 0.23 < first < 0.44
        assert 0.56 < second < 0.77
    assert {one.ghosting.num_ghosts for one in drawn} == {2, 3, 4, 5, 6}
    assert max(one.ghosting.intensity for one in drawn) == pytest.approx(0.5, abs=0.01)
    assert max(one.spike.intensity for one in drawn) == pytest.approx(0.3, abs=0.01)
    factors = [one.anisotropy.factor for one in drawn]
    assert min(factors) == pytest.approx(1, abs=0.02)
    assert max(factors) == pytest.approx(3, abs=0.02)
    for kind in ("motion", "ghosting", "anisotropy"):
        assert {getattr(one, kind).axis for one in drawn} == {0, 1, 2}
    assert all(0 <= place < 1 for one in drawn for place in one.spike.position)


def test_artefacts_do_not_come_together():
    half = AugmentationConfig(motion_probability=0.5, spike_probability=0.5)
    drawn = [draw_artefacts(half, seed) for seed in range(400)]
    both = [one for one in drawn if one.motion is not None and one.spike is not None]
    assert len(both) == pytest.approx(100, abs=35)


def test_draws_depend_on_the_seed_alone():
    state = torch.random.get_rng_state()
    drawn = [draw_artefacts(ALWAYS, seed) for seed in range(20)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert drawn == [draw_artefacts(ALWAYS, seed) for seed in range(20)]
    assert len({one.motion for one in drawn}) == 20


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    "weakest",
    [
        lambda axis: {"motion": Motion(axis, (STILL, STILL), (STILL, STILL), (0.3, 0.7))},
        lambda axis: {"ghosting": Ghosting(axis, 3, 0.0)},
        lambda axis: {"spike": Spike((0.1 * axis, 0.4, 0.9), 0.0)},
        lambda axis: {"anisotropy": Anisotropy(axis, 1.0)},
    ],
    ids=["motion", "ghosting", "spike", "anisotropy"],
)
def test_the_weakest_artefact_changes_nothing(bright, weakest, axis):
    assert torch.allclose(spoil(bright, **weakest(axis)), bright, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_centre_of_k_space_is_filled_by_the_head_that_did_not_move(bright, axis):
    shift = (2.0, 0.0, 0.0)
    motion = Motion(axis, (STILL,), (shift,), (0.999,))
    assert torch.allclose(spoil(bright, motion=motion)[:, 2:-2], bright[:, 2:-2], atol=0.5)
    moved = spoil(bright, motion=Motion(axis, (STILL,), (shift,), (0.5,)))
    assert not torch.allclose(moved, bright, atol=0.1)
    assert moved.sum().item() == pytest.approx(bright.sum().item(), rel=0.01)


def test_a_head_turns_about_the_middle_of_the_volume():
    ball = torch.zeros(1, 21, 21, 21)
    ball[0, 9:12, 9:12, 9:12] = 1
    motion = Motion(2, ((0.0, 0.0, 90.0),), (STILL,), (0.5,))
    assert torch.allclose(spoil(ball, motion=motion), ball, atol=1e-3)


def test_ghosts_are_as_many_copies_at_even_distances():
    size = 24
    line = torch.zeros(1, size, 4, 4)
    line[0, 5] = 1
    spoilt = spoil(line, ghosting=Ghosting(0, 3, 0.6))[0, :, 0, 0]
    expected = torch.full((size,), 0.6 / size)  # the plane in the middle of k-space is restored
    expected[[5, 13, 21]] -= 0.6 / 3
    expected[5] += 1
    assert torch.allclose(spoilt, expected, atol=1e-5)


def test_a_spike_makes_stripes_of_its_height(bright):
    stripes = spoil(bright, spike=Spike((0.75, 0.5, 0.5), 0.2)) - bright
    amplitude = 0.2 * bright.mean().item()
    assert stripes.abs().max().item() == pytest.approx(amplitude, rel=0.01)
    assert torch.allclose(stripes, stripes[:, :, :1, :1].expand_as(stripes), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_blur_across_their_axis_only(axis):
    point = torch.zeros(1, 24, 24, 24)
    point[0, 12, 12, 12] = 1
    inside = torch.ones_like(point, dtype=torch.bool)
    thick = apply_artefacts(point, inside, Artefacts(anisotropy=Anisotropy(axis, 4.0)))
    reached = [torch.unique(where).tolist() for where in thick[0].nonzero().T]
    for other in {0, 1, 2} - {axis}:
        assert reached[other] == [12]
    assert len(reached[axis]) >= 8
    assert thick.sum().item() == pytest.approx(1, rel=0.05)


def test_thick_slices_do_not_darken_the_rim():
    ball = torch.zeros(1, 20, 20, 20)
    ball[0, 5:15, 6:14, 7:13] = 2.5
    for axis in range(3):
        assert torch.allclose(spoil(ball, anisotropy=Anisotropy(axis, 3.0)), ball, atol=1e-5)
