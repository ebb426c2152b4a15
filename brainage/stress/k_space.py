"""What goes wrong while a scan is made: the head moves, or planes of k-space lose strength.

The same code as training's augmentation, with fixed numbers in the place of random ones.
"""

from functools import partial

import numpy as np
import torch

from brainage.data.artefacts import Artefacts, Ghosting, Motion, apply_artefacts
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation

# k-space is filled plane by plane from back to front, or is weakened there.
AXIS = 1
# The head nods, and comes halfway back: in degrees and millimetres of the first move.
MOTION_LEVELS = (("mild", 1.0), ("moderate", 2.5), ("strong", 5.0))
MOVES = (((1.0, 0.3, -0.5), 0.35), ((0.5, -0.2, 0.3), 0.7))  # turns and shifts, share of the scan
GHOST_LEVELS = (0.3, 0.6)
NUM_GHOSTS = 4


def perturbations() -> list[Perturbation]:
    """Two moves of the head, and ghosts."""
    motion = [
        Perturbation(name="motion", level=word, change=partial(move_head, size=size))
        for word, size in MOTION_LEVELS
    ]
    ghosts = [
        Perturbation(name="ghosting", level=f"{level:.0%}", change=partial(add_ghosts, level=level))
        for level in GHOST_LEVELS
    ]
    return motion + ghosts


def move_head(head: Head, *, size: float) -> Scan:
    """The head nods twice while it is scanned, by ``size`` degrees and millimetres."""
    spacing_mm = [float(mm) for mm in head.scan.spacing_mm]
    moves = [tuple(size * part for part in direction) for direction, _ in MOVES]
    motion = Motion(
        axis=AXIS,
        degrees=tuple((x, y, z) for x, y, z in moves),
        voxels=tuple(
            (x / spacing_mm[0], y / spacing_mm[1], z / spacing_mm[2]) for x, y, z in moves
        ),
        times=tuple(time for _, time in MOVES),
    )
    return _spoilt(head, Artefacts(motion=motion))


def add_ghosts(head: Head, *, level: float) -> Scan:
    """Every fourth plane of k-space loses this share of its strength."""
    return _spoilt(head, Artefacts(ghosting=Ghosting(AXIS, NUM_GHOSTS, level)))


def _spoilt(head: Head, artefacts: Artefacts) -> Scan:
    above = head.scan.data_XYZ - np.float32(head.background)
    volume_CXYZ = torch.from_numpy(above)[None]
    spoilt = apply_artefacts(volume_CXYZ, torch.ones_like(volume_CXYZ), artefacts)[0].numpy()
    # A magnitude image has no value below the background.
    return head.scanned(np.abs(spoilt) + np.float32(head.background))
