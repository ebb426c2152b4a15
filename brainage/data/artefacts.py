"""What goes wrong in a scanner: motion, ghosts, a spike in k-space, thick slices.

TorchIO computes the first three, with numbers that are drawn here: its own random transforms draw
from the process's global generator. Each artefact has a stream of random numbers of its own, so
none changes what another one, or any other augmentation, draws.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torchio
from torch import Tensor, nn

from brainage.core.random import derive_seed
from brainage.data.config import AugmentationConfig

_JITTER = 0.3  # of the time between two moves, as in TorchIO

Numbers3 = tuple[float, float, float]


@dataclass(frozen=True)
class Motion:
    """The head moves while k-space is filled, plane by plane along ``axis``.

    ``degrees``, ``voxels`` and ``times`` have one entry a move: turns about and shifts along three
    axes, and the share of the scan that is done, rising from 0 to 1.
    """

    axis: int
    degrees: tuple[Numbers3, ...]
    voxels: tuple[Numbers3, ...]
    times: tuple[float, ...]


@dataclass(frozen=True)
class Ghosting:
    """Every ``num_ghosts``-th plane of k-space loses the share ``intensity`` of its strength."""

    axis: int
    num_ghosts: int
    intensity: float


@dataclass(frozen=True)
class Spike:
    """One point of k-space, at ``position`` in [0, 1) on each axis, is too high.

    ``intensity`` is what is added to it, as a share of the highest of k-space.
    """

    position: Numbers3
    intensity: float


@dataclass(frozen=True)
class Anisotropy:
    """Slices of ``factor`` voxels across ``axis``, interpolated back to voxels."""

    axis: int
    factor: float


@dataclass(frozen=True)
class Artefacts:
    """What one sample suffers; None leaves an artefact out."""

    motion: Motion | None = None
    ghosting: Ghosting | None = None
    spike: Spike | None = None
    anisotropy: Anisotropy | None = None


def draw_artefacts(config: AugmentationConfig, seed: int) -> Artefacts:
    """Draw what one sample suffers, from its seed alone."""
    return Artefacts(
        motion=_draw_motion(config, seed),
        ghosting=_draw_ghosting(config, seed),
        spike=_draw_spike(config, seed),
        anisotropy=_draw_anisotropy(config, seed),
    )


def apply_artefacts(bright_CXYZ: Tensor, inside: Tensor, artefacts: Artefacts) -> Tensor:
    """Spoil one volume, in the order in which a scanner does: motion, ghosts, slices, spike.

    Args:
        bright_CXYZ: (1, X, Y, Z) float32, brightness from 0, 0 outside the brain; not changed.
        inside: the brain, of the same shape.
        artefacts: what to do.

    Returns:
        A volume of the same shape. Outside the brain it is no longer 0 after motion, ghosts or a
        spike.
    """
    if artefacts.motion is not None:
        bright_CXYZ = _move_during_scan(bright_CXYZ, artefacts.motion)
    if artefacts.ghosting is not None:
        bright_CXYZ = _add_ghosts(bright_CXYZ, artefacts.ghosting)
    if artefacts.anisotropy is not None:
        bright_CXYZ = _thicken_slices(bright_CXYZ, inside, artefacts.anisotropy)
    if artefacts.spike is not None:
        bright_CXYZ = _add_spike(bright_CXYZ, artefacts.spike)
    return bright_CXYZ


def _uniform(seed: int, artefact: str, count: int) -> list[float]:
    """Numbers in [0, 1) that depend on the sample's seed and the artefact alone."""
    generator = torch.Generator().manual_seed(derive_seed(seed, artefact))
    numbers: list[float] = torch.rand(count, generator=generator).tolist()
    return numbers


def _draw_motion(config: AugmentationConfig, seed: int) -> Motion | None:
    count = config.num_motions
    chance, axis, *numbers = _uniform(seed, "motion", 2 + 7 * count)
    if chance >= config.motion_probability:
        return None
    spread = np.array(numbers).reshape(count, 7) * 2 - 1
    times = (np.arange(1, count + 1) + _JITTER * spread[:, 6]) / (count + 1)
    return Motion(
        axis=int(3 * axis),
        degrees=_rows(config.motion_degrees * spread[:, 0:3]),
        voxels=_rows(config.motion_voxels * spread[:, 3:6]),
        times=tuple(times.tolist()),
    )


def _rows(values: npt.NDArray[np.float64]) -> tuple[Numbers3, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in values)


def _draw_ghosting(config: AugmentationConfig, seed: int) -> Ghosting | None:
    chance, axis, ghosts, intensity = _uniform(seed, "ghosting", 4)
    if chance >= config.ghosting_probability:
        return None
    num_ghosts = 2 + int(ghosts * (config.num_ghosts - 1))
    return Ghosting(int(3 * axis), num_ghosts, config.ghosting_intensity * intensity)


def _draw_spike(config: AugmentationConfig, seed: int) -> Spike | None:
    chance, x, y, z, intensity = _uniform(seed, "spike", 5)
    if chance >= config.spike_probability:
        return None
    return Spike((x, y, z), config.spike_intensity * intensity)


def _draw_anisotropy(config: AugmentationConfig, seed: int) -> Anisotropy | None:
    chance, axis, factor = _uniform(seed, "anisotropy", 3)
    if chance >= config.anisotropy_probability:
        return None
    return Anisotropy(int(3 * axis), 1 + (config.anisotropy_factor - 1) * factor)


def _move_during_scan(bright_CXYZ: Tensor, motion: Motion) -> Tensor:
    turned = bright_CXYZ.movedim(1 + motion.axis, 3)  # TorchIO fills k-space along the last axis
    transform = torchio.Motion(
        degrees=np.array(motion.degrees),
        translation=np.array(motion.voxels),
        times=np.array(motion.times),
        image_interpolation="linear",
    )
    return _transformed(turned, transform).movedim(3, 1 + motion.axis)


def _add_ghosts(bright_CXYZ: Tensor, ghosting: Ghosting) -> Tensor:
    transform = torchio.Ghosting(
        num_ghosts=ghosting.num_ghosts,
        axis=ghosting.axis,
        intensity=ghosting.intensity,
        restore=None,
    )
    return _transformed(bright_CXYZ, transform)


def _add_spike(bright_CXYZ: Tensor, spike: Spike) -> Tensor:
    transform = torchio.Spike(
        spikes_positions=np.array([spike.position]), intensity=spike.intensity
    )
    return _transformed(bright_CXYZ, transform)


def _transformed(bright_CXYZ: Tensor, transform: torchio.Transform) -> Tensor:
    # with the origin in the middle: TorchIO's motion turns about the origin
    affine = np.eye(4)
    affine[:3, 3] = [-(size - 1) / 2 for size in bright_CXYZ.shape[1:]]
    image = torchio.ScalarImage(  # type: ignore[no-untyped-call]
        tensor=bright_CXYZ.contiguous(), affine=affine
    )
    # apply_transform rather than a call, which draws from the global generator
    transform.apply_transform(torchio.Subject(volume=image))
    spoilt: Tensor = image.data
    return spoilt


def _thicken_slices(bright_CXYZ: Tensor, inside: Tensor, anisotropy: Anisotropy) -> Tensor:
    """Mean over thick slices, interpolated back; both over brain voxels only.

    A slice's profile is a triangle that overlaps half of each neighbour's. TorchIO takes every
    n-th slice as it is, which no scanner does: details alias instead of being averaged.
    """
    axis = 1 + anisotropy.axis
    both = torch.cat([bright_CXYZ * inside, inside.to(bright_CXYZ.dtype)])
    pictures = both.movedim(axis, 2)
    size, width = pictures.shape[2:]
    num_slices = max(1, round(size / anisotropy.factor))
    slices = nn.functional.interpolate(
        pictures, (num_slices, width), mode="bilinear", antialias=True
    )
    pictures = nn.functional.interpolate(slices, (size, width), mode="bilinear")
    averaged = pictures.movedim(2, axis)
    bright, share = averaged[:1], averaged[1:]
    return bright / share.clamp_min(torch.finfo(torch.float32).eps) * inside
