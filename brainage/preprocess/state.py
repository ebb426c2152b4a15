"""What the preprocessing steps hand on: a scan and what is known about it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from brainage.scans.nifti import Scan

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Brain:
    """Where the brain lies: a box of the scan's grid and the brain's voxels in it.

    ``start_XYZ`` (3,) is the first voxel of the box; ``source`` names where the mask is from: the
    method of the configuration or ``already stripped``.
    """

    mask_XYZ: Mask
    start_XYZ: npt.NDArray[np.int64]
    source: str

    def crop(self, data_XYZ: Image) -> Image:
        """The part of a volume on the scan's grid that lies in the box."""
        ends = self.start_XYZ + self.mask_XYZ.shape
        box = tuple(slice(a, b) for a, b in zip(self.start_XYZ, ends, strict=True))
        return data_XYZ[box]

    def affine(self, scan_affine: Matrix) -> Matrix:
        """Voxels of the box to millimetres in scan space."""
        affine = scan_affine.copy()
        affine[:3, 3] += affine[:3, :3] @ self.start_XYZ
        return affine


@dataclass(frozen=True)
class BiasField:
    """Natural logarithm of the multiplicative field, at the centres of blocks of voxels.

    ``log_XYZ`` has one value for every ``block_XYZ`` (3,) voxels, from voxel ``start_XYZ`` (3,) of
    the scan on.
    """

    log_XYZ: Image
    block_XYZ: npt.NDArray[np.int64]
    start_XYZ: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, dtype=np.int64))


@dataclass(frozen=True)
class Volume:
    """The result on the target grid: ``data_XYZ`` is 0 outside ``mask_XYZ``."""

    data_XYZ: Image
    mask_XYZ: Mask
    affine: Matrix


@dataclass(frozen=True)
class ScanState:
    """A scan on its way through the steps; a step returns a new state and changes none.

    ``scan_to_template`` (4, 4) maps millimetres in scan space to millimetres in MNI space. ``pose``
    is such a matrix from an earlier round, rough but good enough to see the head upright.
    ``denoised`` tells whether the voxels of ``scan`` are still those of the file.
    """

    scan: Scan
    denoised: bool = False
    pose: Matrix | None = None
    brain: Brain | None = None
    bias: BiasField | None = None
    scan_to_template: Matrix | None = None
    volume: Volume | None = None
    quality: Mapping[str, float] = field(default_factory=dict)


class Step(Protocol):
    """One step; ``name`` is the stage under which its failures are reported."""

    @property
    def name(self) -> str:
        """One of ``ScanError.STAGES``."""

    def __call__(self, state: ScanState) -> ScanState:
        """The state with this step's findings added.

        Raises:
            ScanError: with this step's name as its stage.
        """
