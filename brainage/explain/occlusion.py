"""Occlusion: how many years a cube of brain adds to the age, found by replacing it.

Source: Zeiler and Fergus 2014, ECCV, "Visualizing and understanding convolutional networks".
"""

import math
import warnings

import torch
from monai.visualize.occlusion_sensitivity import OcclusionSensitivity
from torch import Tensor, nn

from brainage.explain.answer import AnswerNetwork


class _YearsAdded(nn.Module):
    """Age of the volume minus its age with a cube replaced, (B, 1).

    Volumes that replacing did not change, as where there is no brain, are not asked about.
    """

    def __init__(self, network: AnswerNetwork, difference: Tensor) -> None:
        super().__init__()
        self._network = network
        self._difference = difference
        self._years = network(difference)

    def forward(self, occluded_BCXYZ: Tensor) -> Tensor:
        changed_B = (occluded_BCXYZ != self._difference).flatten(1).any(1)
        added_B = torch.zeros(len(changed_B))
        self._network.skip(int((~changed_B).sum()))
        if changed_B.any():
            added_B[changed_B] = self._years - self._network(occluded_BCXYZ[changed_B])
        return added_B[:, None]


@torch.no_grad()
def occlusion_map(
    network: AnswerNetwork, difference: Tensor, *, cube: int, stride: int, rows: int
) -> Tensor:
    """Years that each place adds to the age: positive makes the brain look older.

    A voxel has the mean over all cubes that cover it. Cubes overlap and act together, so that the
    values do not sum to the age.

    Args:
        network: what is explained.
        difference: the volume as the network takes it, (1, 1, X, Y, Z).
        cube: edge in voxels.
        stride: voxels from one cube to the next.
        rows: volumes that go through the network together.
    Returns:
        Years, (X, Y, Z).
    """
    shape_XYZ = difference.shape[2:]
    size = [min(cube, extent) for extent in shape_XYZ]
    # MONAI rounds the stride down from the overlap: half a voxel more is safe from rounding.
    overlap = max(0.0, 1 - (stride + 0.5) / cube)
    tool = OcclusionSensitivity(
        _YearsAdded(network, difference),
        mask_size=size,
        n_batch=rows,
        verbose=False,
        mode=0.0,
        overlap=overlap,
        activate=False,
    )
    with warnings.catch_warnings():
        # MONAI indexes tensors with lists, which torch warns of on every call.
        warnings.filterwarnings(
            "ignore", "Using a non-tuple sequence for multidimensional indexing"
        )
        years, _ = tool(difference)
    return years[0, 0].as_subclass(Tensor)


def num_cubes(shape_XYZ: tuple[int, ...], cube: int, stride: int) -> int:
    """Places of the cube in a volume, with brain in them or not."""
    return math.prod(math.ceil((extent - min(cube, extent)) / stride) + 1 for extent in shape_XYZ)
