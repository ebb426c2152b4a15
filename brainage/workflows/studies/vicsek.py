"""Figure S4b: self-driven particles that take the mean heading of their neighbours, with noise.

Source: Vicsek et al. 1995, Physical Review Letters 75:1226. Shape letters: N particles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.config.studies import VicsekConfig

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Flock:
    """Particles at one time: ``places`` (N, 2) in [0, L), ``headings`` (N,) in radians."""

    places: Numbers
    headings: Numbers

    @property
    def order(self) -> float:
        """Length of the mean direction: 1 when all fly the same way, near 0 when every which way.

        Of N independent directions it is about ``1 / sqrt(N)``.
        """
        return float(np.abs(np.exp(1j * self.headings).mean()))


def simulate(config: VicsekConfig) -> tuple[Flock, Flock, list[float]]:
    """The flock at the start, the one at the end, and the order before and after every step.

    Args:
        config: of the model; equal ones give equal flocks.
    """
    generator = np.random.default_rng(config.seed)
    places = generator.uniform(0, config.box_size, (config.num_particles, 2))
    headings = generator.uniform(-np.pi, np.pi, config.num_particles)
    first = flock = Flock(places, headings)
    orders = [flock.order]
    for _ in range(config.num_steps):
        flock = step(flock, config, generator)
        orders.append(flock.order)
    return first, flock, orders


def step(flock: Flock, config: VicsekConfig, generator: np.random.Generator) -> Flock:
    """Move every particle along its heading, then turn it to its neighbours' mean heading.

    The new heading is that of the sum of the directions of all particles within the radius, itself
    among them, plus a turn that is uniform in [-eta / 2, eta / 2]. Particles move by the heading
    they had, as in the source.
    """
    apart = flock.places[:, None] - flock.places[None]
    apart -= config.box_size * np.round(apart / config.box_size)
    near = (apart**2).sum(2) <= config.radius**2
    direction = near @ np.exp(1j * flock.headings)
    noise = generator.uniform(-0.5, 0.5, len(flock.headings)) * config.noise
    moved = np.stack([np.cos(flock.headings), np.sin(flock.headings)], 1) * config.speed
    places = np.mod(flock.places + moved, config.box_size)
    return Flock(places, np.angle(direction * np.exp(1j * noise)))


def simulated_flock(config: VicsekConfig) -> dict[str, Any]:
    """What is drawn, as plain values: ``first`` and ``last`` flock, the ``order`` at all steps."""
    first, last, orders = simulate(config)
    flocks = {
        name: {
            "places": flock.places.round(4).tolist(),
            "headings": flock.headings.round(4).tolist(),
        }
        for name, flock in (("first", first), ("last", last))
    }
    return {
        "num_particles": config.num_particles,
        "box_size": config.box_size,
        "radius": config.radius,
        "noise": config.noise,
        "speed": config.speed,
        "order": [round(value, 5) for value in orders],
        **flocks,
    }
