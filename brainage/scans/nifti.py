"""Read one NIfTI scan: checked, in RAS+ order, as float32, with the hash of its bytes."""

import gzip
import hashlib
import logging
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, ImageDataError
from nibabel.wrapstruct import WrapStructError

from brainage.errors import ScanError

logger = logging.getLogger(__name__)

MIN_VOXELS_PER_AXIS = 16
MAX_VOXELS_PER_AXIS = 1024
MIN_SPACING_MM = 0.1
MAX_SPACING_MM = 10.0
# Volume of the parallelepiped of the unit axis vectors: 1 when orthogonal, 0 when singular.
MIN_AXES_DETERMINANT = 0.1

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Scan:
    """One volume as read from a file.

    ``data_XYZ`` is finite and in the closest canonical (RAS+) order; ``affine`` (4, 4) maps its
    voxel indices to millimetres; ``sha256`` is of the file's bytes. ``orientation_stated`` is
    False when the file states neither qform nor sform, so that left and right are a guess.
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


def voxel_spacing_mm(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Length in millimetres of one step along each voxel axis, (3,)."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0), dtype=np.float64)


def read_scan(path: Path) -> Scan:
    """Read and check one NIfTI-1 or NIfTI-2 file, gzipped or not, in one pass over the file.

    Integer scaling, big-endian order, any orientation and trailing axes of length one are
    understood. Nothing is repaired: a scan that is not what it should be is refused.

    Raises:
        ScanError: stage ``read`` for a file that is not a complete NIfTI volume, ``check`` for a
            volume whose size, geometry or values cannot be those of a head.
    """
    content, sha256 = read_scan_bytes(path)
    return parse_scan(path, content, sha256)


def read_scan_bytes(path: Path) -> tuple[bytes, str]:
    """The file's bytes and their SHA-256, which is what caches are keyed by.

    Raises:
        ScanError: stage ``read``, when there is no such file or it is empty or unreadable.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "nothing at this path"
        raise ScanError(path, "read", f"expected a NIfTI file, found {kind}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanError(path, "read", f"cannot read the file: {error.strerror}") from error
    if not content:
        raise ScanError(path, "read", "expected a NIfTI file, got an empty file (0 bytes)")
    return content, hashlib.sha256(content).hexdigest()


def parse_scan(path: Path, content: bytes, sha256: str) -> Scan:
    """Turn the bytes of a NIfTI file into a checked scan; ``path`` only names it in errors.

    Raises:
        ScanError: as for `read_scan`.
    """
    image = _open_image(path, _decompressed(path, content))
    shape = _three_axes(path, image.shape)
    affine = np.asarray(image.affine, dtype=np.float64)
    _check_geometry(path, shape, affine)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            data = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(shape)
    except (OSError, ValueError, ImageFileError) as error:
        raise ScanError(path, "read", f"cannot read the voxels: {error}") from error
    _check_values(path, data)
    to_canonical = nib.orientations.io_orientation(affine)
    data_XYZ = np.ascontiguousarray(nib.orientations.apply_orientation(data, to_canonical))
    affine = affine @ nib.orientations.inv_ornt_aff(to_canonical, shape)
    stated = bool(image.header["qform_code"] > 0 or image.header["sform_code"] > 0)
    if not stated:
        logger.warning("%s: the header states no orientation, left and right are a guess", path)
    return Scan(data_XYZ, affine, path, sha256, stated)


def _decompressed(path: Path, content: bytes) -> bytes:
    """Unpack gzip, recognised by its first bytes and not by the file's name."""
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise ScanError(
            path, "read", f"truncated: the gzip stream stops after {len(content)} bytes"
        ) from error
    except (OSError, zlib.error) as error:
        raise ScanError(path, "read", f"damaged gzip stream: {error}") from error


def _open_image(path: Path, content: bytes) -> nib.Nifti1Image:
    """Parse the header and make sure that all the voxels it promises are there."""
    image_class = _nifti_class(path, content)
    try:
        header = image_class.header_class.from_fileobj(BytesIO(content))
        dtype, offset = header.get_data_dtype(), int(header.get_data_offset())
        expected = offset + dtype.itemsize * int(np.prod(header.get_data_shape(), dtype=np.int64))
    except (HeaderDataError, WrapStructError, ImageDataError, ValueError) as error:
        raise ScanError(path, "read", f"damaged NIfTI header: {error}") from error
    if dtype.kind not in "iuf":
        raise ScanError(path, "read", f"expected real-valued voxels, got {dtype}")
    if len(content) < expected:
        raise ScanError(
            path,
            "read",
            f"truncated: the header promises {expected} bytes, the file has {len(content)}",
        )
    try:
        return image_class.from_bytes(content)
    except (HeaderDataError, ImageFileError, ImageDataError, WrapStructError, ValueError) as error:
        raise ScanError(path, "read", f"damaged NIfTI file: {error}") from error


def _nifti_class(path: Path, content: bytes) -> type[nib.Nifti1Image]:
    """NIfTI-1 or NIfTI-2 by header size and magic, in either byte order."""
    sizes = {struct.unpack(order + "i", content[:4])[0] for order in "<>"} if content[4:] else set()
    if 540 in sizes and content[4:8] == b"n+2\0":
        return nib.Nifti2Image
    if 348 in sizes and content[344:348] == b"n+1\0":
        return nib.Nifti1Image
    if 348 in sizes or 540 in sizes:
        raise ScanError(
            path,
            "read",
            "expected a single-file NIfTI (.nii, .nii.gz), got an Analyze header, a header of an "
            ".hdr/.img pair, or a header cut short",
        )
    raise ScanError(
        path, "read", f"expected NIfTI (.nii, .nii.gz), got a file starting {content[:8]!r}"
    )


def _three_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Drop trailing axes of length one and insist on exactly three."""
    num_axes = len(shape)
    while num_axes > 3 and shape[num_axes - 1] == 1:
        num_axes -= 1
    if num_axes != 3:
        raise ScanError(path, "check", f"expected one 3D volume, got shape {_text(shape)}")
    return shape[0], shape[1], shape[2]


def _check_geometry(
    path: Path, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]
) -> None:
    """Refuse sizes, spacings and axes that no scan of a head has."""
    if min(shape) < MIN_VOXELS_PER_AXIS or max(shape) > MAX_VOXELS_PER_AXIS:
        raise ScanError(
            path,
            "check",
            f"expected {MIN_VOXELS_PER_AXIS} to {MAX_VOXELS_PER_AXIS} voxels per axis, "
            f"got {_text(shape)}",
        )
    if not np.isfinite(affine).all():
        raise ScanError(path, "check", "expected a finite affine, got NaN or infinity in it")
    spacing_mm = voxel_spacing_mm(affine)
    if spacing_mm.min() < MIN_SPACING_MM or spacing_mm.max() > MAX_SPACING_MM:
        got = " x ".join(f"{value:.3g}" for value in spacing_mm)
        raise ScanError(
            path,
            "check",
            f"expected a voxel spacing of {MIN_SPACING_MM} to {MAX_SPACING_MM} mm, got {got} mm",
        )
    determinant = abs(float(np.linalg.det(affine[:3, :3] / spacing_mm)))
    if determinant < MIN_AXES_DETERMINANT:
        raise ScanError(
            path,
            "check",
            f"expected three independent voxel axes, got a singular affine "
            f"(determinant of the axis directions {determinant:.2g})",
        )


def _check_values(path: Path, data: npt.NDArray[np.float32]) -> None:
    """Refuse non-finite voxels, however few, and volumes without any contrast.

    A NaN outside the head would be harmless, but where it lies is only known after brain
    extraction; replacing values silently is what this reader does not do.
    """
    num_bad = data.size - int(np.count_nonzero(np.isfinite(data)))
    if num_bad:
        raise ScanError(
            path, "check", f"expected finite voxels, got {num_bad} of {data.size} NaN or infinite"
        )
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise ScanError(path, "check", f"expected an image, got the value {low:g} in every voxel")


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
