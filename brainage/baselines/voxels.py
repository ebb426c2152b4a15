"""Inner products of scans' voxels: all that a kernel needs, and small whatever the grid."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Volumes = Iterable[Floats]

VOXELS_ALONG_AXIS = 64
"""Finer volumes are averaged down to at most this many voxels along each axis."""
SCANS_AT_ONCE = 128
"""Test scans whose voxels are held at once, as doubles."""


@dataclass(frozen=True)
class VoxelProducts:
    """Products of voxels that are centred on the training scans, whose mean square is 1.

    ``training_NN`` has those of training scans with one another, ``test_MN`` of test scans with
    training scans, ``test_squares_M`` of each test scan with itself. The mean squared distance of
    two training scans is 2, whatever the grid and the unit of the voxels.
    """

    training_NN: Floats
    test_MN: Floats
    test_squares_M: Floats

    def squared_distances(self) -> tuple[Floats, Floats]:
        """Between training scans (N, N), and from test to training scans (M, N)."""
        squares_N = np.diag(self.training_NN)
        training_NN = squares_N[:, None] + squares_N - 2 * self.training_NN
        test_MN = self.test_squares_M[:, None] + squares_N - 2 * self.test_MN
        return np.maximum(training_NN, 0), np.maximum(test_MN, 0)


def voxel_products(training_volumes: Volumes, test_volumes: Volumes) -> VoxelProducts:
    """The products of a training and a test part; volumes are taken one after the other.

    Args:
        training_volumes: N of shape (X, Y, Z), preprocessed.
        test_volumes: M of the same shape.
    """
    rows = np.stack([_voxels(volume) for volume in training_volumes])
    return _products(rows, (_voxels(volume) for volume in test_volumes))


def feature_products(training_features: Floats, test_features: Floats) -> VoxelProducts:
    """The same of features, (N, F) and (M, F), that are taken as they are."""
    return _products(training_features.astype(np.float64), test_features)


def _products(rows: Floats, test_rows: Volumes) -> VoxelProducts:
    """The products; ``rows`` are changed."""
    centre = rows.mean(axis=0)
    rows -= centre
    scale = np.sqrt((rows**2).sum(axis=1).mean())
    rows /= scale
    products, squares = [np.empty((0, len(rows)))], [np.empty(0)]
    remaining = iter(test_rows)
    while portion := list(islice(remaining, SCANS_AT_ONCE)):
        test = (np.stack(portion) - centre) / scale
        products.append(test @ rows.T)
        squares.append((test**2).sum(axis=1))
    return VoxelProducts(rows @ rows.T, np.concatenate(products), np.concatenate(squares))


def _voxels(volume: Floats) -> Floats:
    """A volume (X, Y, Z) as a row of voxels, coarser where it is fine."""
    for axis, size in enumerate(volume.shape):
        step = -(-size // VOXELS_ALONG_AXIS)
        if step > 1:
            cut = np.take(volume, np.arange(size // step * step), axis=axis)
            shape = (*cut.shape[:axis], size // step, step, *cut.shape[axis + 1 :])
            volume = cut.reshape(shape).mean(axis=axis + 1)
    return volume.reshape(-1).astype(np.float64)
