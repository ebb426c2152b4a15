"""Read one scan: checked, in RAS+ order, as float32, with the hash of its bytes.

A scan is a NIfTI or MGH file, a series of DICOM files, or one of these inside an archive; see
``docs/adr/0005-sources.md`` for how a path names each of them.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from brainage.scans.checks import check_affine, check_values, voxel_spacing_mm
from brainage.scans.formats import open_image
from brainage.scans.located import is_folder, located, read_file
from brainage.scans.names import is_dicom

__all__ = ["Scan", "parse_scan", "read_scan", "read_scan_bytes", "voxel_spacing_mm"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """One volume as read from a file.

    ``data_XYZ`` is finite and in the closest canonical (RAS+) order; ``affine`` (4, 4) maps its
    voxel indices to millimetres; ``sha256`` is of the file's bytes. ``orientation_stated`` is
    False when the file does not state its orientation, so that left and right are a guess.
    """

    data_XYZ: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    source: Path
    sha256: str
    orientation_stated: bool = True

    @property
    def spacing_mm(self) -> npt.NDArray[np.float64]:
        """Distance between voxel centres along each axis, (3,)."""
        return voxel_spacing_mm(self.affine)


def read_scan(path: Path) -> Scan:
    """Read and check one scan, in one pass over its bytes.

    Integer scaling, big-endian order, any orientation and trailing axes of length one are
    understood. Nothing is repaired: a scan that is not what it should be is refused.

    Args:
        path: a file, a folder with one DICOM study, or a place inside an archive.

    Raises:
        ScanError: stage ``read`` for what is not a complete volume, ``check`` for a volume whose
            size, geometry or values cannot be those of a head.
    """
    content, sha256 = read_scan_bytes(path)
    return parse_scan(path, content, sha256)


def read_scan_bytes(path: Path) -> tuple[bytes, str]:
    """The scan's bytes and their SHA-256, which is what caches are keyed by.

    A DICOM series has the bytes of the NIfTI file that it is converted to.

    Raises:
        ScanError: when there is no such scan, it is empty or unreadable, or a DICOM series cannot
            be used.
    """
    file = located(path)
    if is_folder(file):
        from brainage.scans.dicom.read import folder_bytes  # noqa: PLC0415 - pydicom is slow

        content = folder_bytes(path, file)
    else:
        content = read_file(path, file)
        if is_dicom(file.name, content):
            from brainage.scans.dicom.read import series_bytes  # noqa: PLC0415

            content = series_bytes(path, file)
    return content, hashlib.sha256(content).hexdigest()


def parse_scan(path: Path, content: bytes, sha256: str) -> Scan:
    """Turn a scan's bytes into a checked scan; ``path`` only names it in errors.

    Raises:
        ScanError: as for `read_scan`.
    """
    opened = open_image(path, content)
    data, affine = opened.data_XYZ, opened.affine
    check_affine(path, affine)
    check_values(path, data)
    to_canonical = nib.orientations.io_orientation(affine)
    data_XYZ = np.ascontiguousarray(nib.orientations.apply_orientation(data, to_canonical))
    affine = affine @ nib.orientations.inv_ornt_aff(to_canonical, data.shape)
    if not opened.orientation_stated:
        logger.warning("%s: the header states no orientation, left and right are a guess", path)
    return Scan(data_XYZ, affine, path, sha256, opened.orientation_stated)
