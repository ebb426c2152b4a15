import numpy as np
import pytest

from brainage.config.studies import VicsekConfig
from brainage.workflows.studies.vicsek import Flock, simulate, simulated_flock, step


def test_the_flock_orders_itself_with_little_noise_and_not_with_full_noise():
    quiet = simulate(VicsekConfig(num_particles=150, noise=0.1, num_steps=250))
    loud = simulate(VicsekConfig(num_particles=150, noise=6.28, num_steps=250))
    assert quiet[2][0] < 0.3
    assert quiet[1].order > 0.95
    assert np.mean(loud[2][50:]) < 0.2


def test_particles_turn_to_their_neighbours_across_the_edge_and_to_no_other():
    places = np.array([[0.1, 2.0], [4.9, 2.0], [2.5, 2.0]])
    headings = np.array([0.0, 1.0, 2.0])
    config = VicsekConfig(noise=0.0, radius=0.5, speed=0.25)
    moved = step(Flock(places, headings), config, np.random.default_rng(0))
    assert moved.headings.tolist() == pytest.approx([0.5, 0.5, 2.0])
    assert moved.places[0].tolist() == pytest.approx([0.35, 2.0])
    assert 0 <= moved.places[1, 0] < 5
    assert moved.places[1, 0] == pytest.approx((4.9 + 0.25 * np.cos(1.0)) % 5)


def test_equal_settings_give_equal_flocks():
    config = VicsekConfig(num_particles=20, num_steps=5)
    assert simulated_flock(config) == simulated_flock(config)
    other = simulated_flock(VicsekConfig(num_particles=20, num_steps=5, seed=1))
    assert other["order"] != simulated_flock(config)["order"]
