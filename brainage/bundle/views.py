"""Test-time augmentation: the views of a scan that a network is asked about.

The same on every machine and in every call: nothing is drawn. The moves are rigid and small, of
the size by which a registration errs: at most ``MOST_DEGREES`` about each axis and ``MOST_VOXELS``
along it. Everything is torch, on the volume's device and without a branch that depends on its
values, so that the views are part of a model that is exported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from brainage.core.batches import WrappedBatches
from brainage.core.random import derive_seed
from brainage.core.types import Batch, BatchSource, Rows

MOST_DEGREES = 4.0
MOST_VOXELS = 0.5

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Move:
    """A turn about the centre of the grid, then a shift, of what the volume shows.

    Source: the convention of ITK's Euler3DTransform, in RAS: R = Rz Rx Ry.
    """

    degrees: Triple
    """About the x, y and z axis, by the right-hand rule."""

    shift_voxels: Triple


@dataclass(frozen=True)
class View:
    """How a volume is seen."""

    flip: bool = False
    """Mirrored along the first axis: left and right in a RAS volume."""
    move: Move | None = None
    """Moved afterwards; None is where it is."""


def make_views(count: int) -> tuple[View, ...]:
    """The scan as it is, its mirror image, then small moves of either in turn.

    Args:
        count: how many; the first views do not depend on it.
    """
    return tuple(_view(number) for number in range(count))


def show(volume_XYZ: Tensor, view: View) -> Tensor:
    """One view of a volume, which is not changed.

    Args:
        volume_XYZ: (..., X, Y, Z), exactly 0 outside the brain; every index of the axes before is
            a volume of its own.
        view: how it is seen.

    Returns:
        Volumes of the same shape, 0 outside the (moved) brain, whose brains keep their mean and
        standard deviation.
    """
    seen = volume_XYZ.flip(-3) if view.flip else volume_XYZ.clone()
    return seen if view.move is None else _moved(seen, view.move)


def views_of(volume_CXYZ: Tensor, count: int) -> Tensor:
    """The first ``count`` views (V, C, X, Y, Z) of a volume (C, X, Y, Z), or of a batch of them."""
    return torch.stack([show(volume_CXYZ, view) for view in make_views(count)])


class ViewedBatches(WrappedBatches):
    """The batches of another source, every sample seen in one view.

    Args:
        source: delivers samples as they are.
        view: how they are seen.
    """

    def __init__(self, source: BatchSource, view: View) -> None:
        super().__init__(source)
        self._view = view

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of an epoch, see ``BatchSource``."""
        for batch in self._source.batches(epoch, first=first, rows=rows):
            seen = [show(volume, self._view) for volume in batch.inputs]
            yield Batch(torch.stack(seen) if seen else batch.inputs, batch.targets)


def _view(number: int) -> View:
    mirrored = number % 2 == 1
    if number < 2:
        return View(flip=mirrored)
    generator = torch.Generator().manual_seed(derive_seed("view", number))
    spread = (torch.rand(6, generator=generator) * 2 - 1).tolist()
    turn_x, turn_y, turn_z = (MOST_DEGREES * value for value in spread[:3])
    shift_x, shift_y, shift_z = (MOST_VOXELS * value for value in spread[3:])
    return View(mirrored, Move((turn_x, turn_y, turn_z), (shift_x, shift_y, shift_z)))


def _moved(volume_XYZ: Tensor, move: Move) -> Tensor:
    """Move brightness and mask of the brain together.

    Where the brain's rim is mixed with the background, dividing by the share of brain takes the
    background out again, so the rim is neither darkened nor widened.
    """
    volumes_NXYZ = volume_XYZ.reshape(-1, *volume_XYZ.shape[-3:])
    inside = volumes_NXYZ != 0
    mean, std = _statistics(volumes_NXYZ, inside)
    lowest = volumes_NXYZ.masked_fill(~inside, torch.inf).amin((1, 2, 3), keepdim=True)
    # From 0, so that nothing of the brain is darker than the background around it.
    bright = (volumes_NXYZ - lowest).masked_fill(~inside, 0.0)
    both = _resampled(torch.stack([bright, inside.to(bright.dtype)], dim=1), move)
    bright, share = both[:, 0], both[:, 1]
    inside = share >= 0.5
    bright = bright / share.clamp_min(0.5) * inside
    moved_mean, moved_std = _statistics(bright, inside)
    scale = std / moved_std.clamp_min(torch.finfo(bright.dtype).eps)
    moved = ((bright - moved_mean) * scale + mean) * inside
    return moved.reshape(volume_XYZ.shape)


def _statistics(volumes_NXYZ: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what is inside, each (N, 1, 1, 1); 0 where nothing is."""
    size = inside.sum((1, 2, 3), keepdim=True).clamp_min(1)
    mean = (volumes_NXYZ * inside).sum((1, 2, 3), keepdim=True) / size
    square = ((volumes_NXYZ - mean).square() * inside).sum((1, 2, 3), keepdim=True) / size
    return mean, square.sqrt()


def _resampled(images_NCXYZ: Tensor, move: Move) -> Tensor:
    """The moved images, by linear interpolation; 0 where they come from outside the grid.

    A voxel reaches half a voxel beyond its centre, as in ITK: there its value is kept.
    """
    shape_XYZ = images_NCXYZ.shape[-3:]
    voxels = _source_voxels(shape_XYZ, move, images_NCXYZ.device)
    sizes = torch.tensor(shape_XYZ, device=voxels.device, dtype=voxels.dtype)
    within = ((voxels >= -0.5) & (voxels < sizes - 0.5)).all(-1)
    # From -1 to 1 between the outer faces of the grid; grid_sample takes the last axis first.
    grid_XYZ3 = ((2 * voxels + 1) / sizes - 1).flip(-1).to(images_NCXYZ.dtype)
    moved = F.grid_sample(
        images_NCXYZ,
        grid_XYZ3[None].expand(images_NCXYZ.shape[0], -1, -1, -1, -1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return moved * within


def _source_voxels(shape_XYZ: Sequence[int], move: Move, device: torch.device) -> Tensor:
    """Where each voxel of the moved volume comes from, in voxels: (X, Y, Z, 3), float64."""
    turn = _rotation(move.degrees)
    centre = [(size - 1) / 2 for size in shape_XYZ]
    source = torch.zeros(3, dtype=torch.float64, device=device)
    source = source + torch.tensor(centre, dtype=torch.float64, device=device)
    for axis, size in enumerate(shape_XYZ):
        steps = torch.arange(size, dtype=torch.float64, device=device)
        steps = steps - (centre[axis] + move.shift_voxels[axis])
        # The inverse of a rotation is its transpose: its row is the column of the turn.
        part = steps[:, None] * turn[axis].to(device)
        source = source + part.reshape(*(size if a == axis else 1 for a in range(3)), 3)
    return source


def _rotation(degrees: Triple) -> Tensor:
    """The rotation matrix (3, 3), float64."""
    x, y, z = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)).tolist()
    return _about(2, z) @ _about(0, x) @ _about(1, y)


def _about(axis: int, radians: float) -> Tensor:
    """The rotation about one axis, by the right-hand rule."""
    angle = torch.tensor(radians, dtype=torch.float64)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[first, first] = matrix[second, second] = torch.cos(angle)
    matrix[second, first] = torch.sin(angle)
    matrix[first, second] = -torch.sin(angle)
    return matrix
