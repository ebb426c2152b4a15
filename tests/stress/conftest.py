"""Heads whose anatomy is known: the template as a scan, with and without a head around it."""

from pathlib import Path

import numpy as np
import pytest

from brainage.preprocess.state import Brain, ScanState
from brainage.preprocess.template import load_template
from brainage.scans.nifti import Scan
from brainage.stress.head import Head


def make_head(data_XYZ, affine, brain_XYZ, scan_to_template=None, source="deepbet") -> Head:
    scan = Scan(np.asarray(data_XYZ, np.float32), np.asarray(affine, float), Path("a.nii"), "0")
    brain = Brain(np.asarray(brain_XYZ, bool), np.zeros(3, np.int64), source)
    matrix = np.eye(4) if scan_to_template is None else scan_to_template
    return Head(scan, ScanState(scan, brain=brain, scan_to_template=matrix))


def bordered(source: str, around: float) -> Head:
    """The template's brain at 2 mm, 20 voxels of something else on every side."""
    template = load_template()
    data_XYZ = np.where(template.mask_XYZ, 200 * template.brain_XYZ + 20, around)
    affine = template.affine.copy()
    affine[:3, 3] -= 40
    brain_XYZ = np.pad(template.mask_XYZ, 20)
    padded_XYZ = np.pad(data_XYZ, 20, constant_values=around)
    padded_XYZ[[0, -1]] = padded_XYZ[:, [0, -1]] = padded_XYZ[:, :, [0, -1]] = 0
    return make_head(padded_XYZ, affine, brain_XYZ, source=source)


@pytest.fixture(scope="session")
def stripped() -> Head:
    return bordered("already stripped", around=0)


@pytest.fixture(scope="session")
def whole() -> Head:
    """The brain in a block of tissue that fills the volume."""
    return bordered("deepbet", around=60)


@pytest.fixture(scope="session")
def ball() -> Head:
    """A ball of grey matter of 40 mm in fluid, the brain mask 6 mm larger, at 1 mm."""
    places = np.indices((101, 101, 101)) - 50
    radius_mm = np.sqrt((places**2).sum(axis=0))
    data_XYZ = np.where(radius_mm <= 40, 100.0, np.where(radius_mm <= 46, 20.0, 0.0))
    affine = np.eye(4)
    affine[:3, 3] = -50
    return make_head(data_XYZ, affine, radius_mm <= 46)


def centre_mm(scan: Scan, above: float = 100.0) -> np.ndarray:
    """Mean place of the bright voxels, in millimetres."""
    voxels = np.argwhere(scan.data_XYZ > above).mean(axis=0)
    return scan.affine[:3, :3] @ voxels + scan.affine[:3, 3]
