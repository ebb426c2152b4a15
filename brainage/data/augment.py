"""Random changes of a training volume, drawn from the generator that is handed in.

TorchIO moves the volume and makes the brightness field; its own random transforms are not used,
because they draw from the process's global generator. Everything happens inside the brain: the
background is 0 before and after, and the brain keeps its mean and standard deviation, which the
intensity normalisation of the preprocessing has set.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torchio
from torch import Tensor, nn

from brainage.data.artefacts import Artefacts, apply_artefacts, draw_artefacts
from brainage.data.config import AugmentationConfig

_FIELD_ORDER = 3
_NUM_FIELD_COEFFICIENTS = 20  # monomials of three variables up to the third order
_FIELD_STEP = 4  # the field is smooth: made on every fourth voxel, interpolated between


@dataclass(frozen=True)
class Variation:
    """What one sample undergoes; None leaves a step out."""

    flip: bool = False
    """Mirror along the first axis: left and right in a RAS volume."""
    affine: torchio.Affine | None = None
    """Turn, scale and shift about the centre, in voxels."""
    field_coefficients: tuple[float, ...] | None = None
    """Of the brightness field: the exponential of a polynomial in positions from -1 to 1."""
    gamma: float | None = None
    """Exponent of the contrast curve."""
    noise_std: float | None = None
    """Standard deviation of the noise, as a share of the brain's."""
    artefacts: Artefacts = field(default_factory=Artefacts)
    """What went wrong in the scanner."""


def draw_variation(config: AugmentationConfig, generator: torch.Generator) -> Variation:
    """Draw what one sample undergoes.

    As many numbers are drawn for a step that is left out as for one that is not, so that the
    probability of one step does not change the others.

    Args:
        config: probabilities and strengths.
        generator: seeded for this sample alone; artefacts depend on its seed, all else on its
            state.
    """
    flip, affine, bias_field, gamma, noise = torch.rand(5, generator=generator).tolist()
    # uniform in [-1, 1): angle, size, shift on three axes; gamma, noise; the field
    spread = torch.rand(11 + _NUM_FIELD_COEFFICIENTS, generator=generator) * 2 - 1
    coefficients = (spread[11:] * config.bias_field_coefficient).tolist()
    return Variation(
        flip=flip < config.flip_probability,
        affine=_affine(config, spread[:9]) if affine < config.affine_probability else None,
        field_coefficients=tuple(coefficients)
        if bias_field < config.bias_field_probability
        else None,
        gamma=(
            math.exp(config.log_gamma * spread[9].item())
            if gamma < config.gamma_probability
            else None
        ),
        noise_std=(
            config.noise_std * abs(spread[10].item()) if noise < config.noise_probability else None
        ),
        artefacts=draw_artefacts(config, generator.initial_seed()),
    )


def apply_variation(
    volume_CXYZ: Tensor, variation: Variation, generator: torch.Generator
) -> Tensor:
    """Vary one volume.

    Args:
        volume_CXYZ: (1, X, Y, Z) float32, exactly 0 outside the brain; not changed.
        variation: what to do.
        generator: the noise is drawn from it.

    Returns:
        A volume of the same shape, 0 outside the (moved) brain.
    """
    if variation.flip:
        volume_CXYZ = volume_CXYZ.flip(1)
    only_flip = Variation(flip=variation.flip)
    inside = volume_CXYZ != 0
    if variation == only_flip or not inside.any():
        return volume_CXYZ.clone()
    brain_N = volume_CXYZ[inside]
    mean, std, lowest = brain_N.mean(), brain_N.std(correction=0), brain_N.min()
    # from 0, so that fields and curves act on brightness as in a scan
    bright_CXYZ = (volume_CXYZ - lowest) * inside
    if variation.affine is not None:
        bright_CXYZ, inside = _move(bright_CXYZ, inside, variation.affine)
        if not inside.any():
            return torch.zeros_like(volume_CXYZ)
    if variation.field_coefficients is not None:
        bright_CXYZ = bright_CXYZ * _field(bright_CXYZ.shape, variation.field_coefficients)
    if variation.gamma is not None:
        top = bright_CXYZ.max().clamp_min(torch.finfo(torch.float32).tiny)
        bright_CXYZ = (bright_CXYZ / top) ** variation.gamma * top
    bright_CXYZ = apply_artefacts(bright_CXYZ, inside, variation.artefacts)
    if variation.noise_std is not None:
        noise_CXYZ = torch.randn(bright_CXYZ.shape, generator=generator)
        bright_CXYZ = bright_CXYZ + noise_CXYZ * (variation.noise_std * std)
    brain_N = bright_CXYZ[inside]
    scale = std / brain_N.std(correction=0).clamp_min(torch.finfo(torch.float32).eps)
    return ((bright_CXYZ - brain_N.mean()) * scale + mean) * inside


def _affine(config: AugmentationConfig, spread: Tensor) -> torchio.Affine:
    """An affine transform from nine numbers in [-1, 1): angles, sizes, shifts."""
    turn_x, turn_y, turn_z = (config.rotation_degrees * spread[0:3]).tolist()
    size_x, size_y, size_z = (1 + config.scale * spread[3:6]).tolist()
    shift_x, shift_y, shift_z = (config.translation_voxels * spread[6:9]).tolist()
    return torchio.Affine(
        scales=(size_x, size_y, size_z),
        degrees=(turn_x, turn_y, turn_z),
        translation=(shift_x, shift_y, shift_z),
        default_pad_value=0,
    )


def _move(bright_CXYZ: Tensor, inside: Tensor, affine: torchio.Affine) -> tuple[Tensor, Tensor]:
    """Move brightness and mask together.

    Where the brain's rim is mixed with the background, dividing by the share of brain takes the
    background out again, so the rim is neither darkened nor widened.
    """
    both = torch.cat([bright_CXYZ, inside.to(bright_CXYZ.dtype)])
    image = torchio.ScalarImage(tensor=both, affine=np.eye(4))  # type: ignore[no-untyped-call]
    # apply_transform rather than a call, which draws from the global generator
    affine.apply_transform(torchio.Subject(volume=image))
    moved_bright, share = image.data[:1], image.data[1:]
    moved_inside = share >= 0.5
    return moved_bright / share.clamp_min(0.5) * moved_inside, moved_inside


def _field(shape_CXYZ: torch.Size, coefficients: tuple[float, ...]) -> Tensor:
    coarse = [max(2, 2 * round(size / _FIELD_STEP / 2)) for size in shape_CXYZ[1:]]
    field = torchio.BiasField.generate_bias_field(
        torch.empty(1, *coarse), _FIELD_ORDER, list(coefficients)
    )
    field_BCXYZ = torch.from_numpy(field)[None, None]
    # both grids reach from -1 to 1 at the centres of their outermost voxels
    return nn.functional.interpolate(
        field_BCXYZ, shape_CXYZ[1:], mode="trilinear", align_corners=True
    )[0]
