"""Convert one checked series to NIfTI with dcm2niix, in a temporary folder of its own.

What dcm2niix prints names files and protocols, and its headers carry the time of the scan, so
neither goes on: only voxels, their scaling and their place are kept.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np

from brainage.errors import ScanError
from brainage.scans.dicom.series import Series

_TIMEOUT_SECONDS = 600


def to_nifti(path: Path, series: Series) -> bytes:
    """The series as the bytes of a single-file NIfTI-1; the same files give the same bytes.

    Raises:
        ScanError: stage ``read``, if dcm2niix makes no volume, several, or one of another size.
    """
    with tempfile.TemporaryDirectory(prefix="brainage-dicom-") as folder:
        slices, made = Path(folder, "slices"), Path(folder, "made")
        slices.mkdir()
        made.mkdir()
        for number, file in enumerate(series.files):
            (slices / f"{number:05d}.dcm").symlink_to(file.absolute())
        _run(path, series, slices, made)
        volumes = sorted(made.glob("*.nii"))
        if len(volumes) != 1:
            raise ScanError(
                path, "read", f"{series.name}: expected one volume, dcm2niix made {len(volumes)}"
            )
        image = nib.Nifti1Image.from_bytes(volumes[0].read_bytes())
    rows, columns = series.slices[0].size
    if sorted(image.shape) != sorted((rows, columns, len(series.slices))):
        raise ScanError(
            path, "read",
            f"{series.name}: expected {len(series.slices)} slices of {rows} x {columns}, dcm2niix "
            f"made a volume of {' x '.join(map(str, image.shape))}",
        )  # fmt: skip
    return _bare(image)


def _run(path: Path, series: Series, slices: Path, made: Path) -> None:
    # -g i: no settings of the user's; -b n: no sidecar; -z n: not packed; -f s: nothing of the
    # header in file names.
    options = ["-g", "i", "-b", "n", "-z", "n", "-f", "s", "-o", str(made)]
    try:
        done = subprocess.run(  # noqa: S603 - the wheel's own program, paths of ours
            [dcm2niix.bin, *options, str(slices)],
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ScanError(
            path, "read", f"{series.name}: dcm2niix did not end in {_TIMEOUT_SECONDS} s"
        ) from None
    if done.returncode != 0:
        raise ScanError(path, "read", f"{series.name}: dcm2niix ended with code {done.returncode}")


def _bare(image: nib.Nifti1Image) -> bytes:
    """The same voxels and place under a header that says nothing else."""
    header = nib.Nifti1Header()
    header.set_data_dtype(image.get_data_dtype())
    proxy: Any = image.dataobj
    stored = np.asanyarray(proxy.get_unscaled())
    bare = nib.Nifti1Image(stored, image.affine, header)
    bare.header.set_xyzt_units("mm")
    bare.header.set_qform(image.affine, 1)
    bare.header.set_sform(image.affine, 1)
    bare.header.set_slope_inter(proxy.slope, proxy.inter)
    return bytes(bare.to_bytes())
