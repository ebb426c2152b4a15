"""Scans made of the MNI152 template: a brain or a head whose place and bias are known."""

from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from brainage.preprocess.template import load_template
from brainage.scans.nifti import Scan

SHARED = Path(__file__).parents[3] / "shared" / "data" / "t1w"


@pytest.fixture(autouse=True)
def _one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rotation(degrees: float) -> np.ndarray:
    """A turn of the head about the left-right axis (nodding)."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def moved_brain(
    *, degrees: float = 8.0, scale: float = 0.92, shift_mm: float = 12.0, spacing_mm: float = 3.0
) -> SimpleNamespace:
    """The template's brain, moved by a known matrix, on a grid of its own with zeros around.

    Returns:
        ``data_XYZ``, ``affine`` and ``scan_to_template``, the matrix to be found.
    """
    template = load_template()
    template_to_scan = rotation(degrees)
    template_to_scan[:3, :3] *= scale
    template_to_scan[:3, 3] = [shift_mm, -shift_mm, shift_mm / 2]
    scan_to_template = np.linalg.inv(template_to_scan)
    size = int(220 / spacing_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = -110 + template_to_scan[:3] @ [0, -17, 5, 1]
    to_voxels = np.linalg.inv(template.affine) @ scan_to_template @ affine
    data = ndimage.affine_transform(
        template.brain_XYZ, to_voxels[:3, :3], to_voxels[:3, 3], output_shape=[size] * 3, order=1
    )
    data_XYZ = np.rint(800 * data).astype(np.float32)
    return SimpleNamespace(data_XYZ=data_XYZ, affine=affine, scan_to_template=scan_to_template)


def as_scan(made: SimpleNamespace, name: str = "made.nii") -> Scan:
    return Scan(made.data_XYZ, made.affine, Path(name), "0" * 64)


def write_scan(path: Path, made: SimpleNamespace) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(made.data_XYZ.astype(np.int16), made.affine).to_filename(path)
    return path


def whole_head(*, noise: bool = True) -> SimpleNamespace:
    """The template's brain in a dark skull and a bright scalp, at 3 mm, in noise or in zeros."""
    made = moved_brain(degrees=0, scale=0.9, shift_mm=0)
    brain = ndimage.binary_fill_holes(made.data_XYZ > 0)
    skull = ndimage.binary_dilation(brain, iterations=3)
    scalp = ndimage.binary_dilation(skull, iterations=3)
    data_XYZ = np.where(scalp & ~skull, np.float32(700), np.where(brain, made.data_XYZ, 0))
    speckle = np.random.default_rng(0).integers(5, 25, data_XYZ.shape)
    data_XYZ += np.where(scalp | noise, speckle, 0)
    return SimpleNamespace(data_XYZ=data_XYZ.astype(np.float32), affine=made.affine)


@pytest.fixture(scope="session")
def make():
    """The makers above, for test modules (which pytest imports without a package)."""
    return SimpleNamespace(
        moved_brain=moved_brain,
        as_scan=as_scan,
        write_scan=write_scan,
        whole_head=whole_head,
        rotation=rotation,
        shared=SHARED,
    )
