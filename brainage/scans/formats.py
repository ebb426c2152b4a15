"""Open the bytes of a scan: NIfTI-1, NIfTI-2 or MGH, recognised by content and not by name.

The header is read before anything else is unpacked, so that a stream which unpacks to more than a
scan costs neither memory nor time.
"""

import gzip
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError, MGHHeader, MGHImage
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError
from nibabel.wrapstruct import WrapStructError

from brainage.errors import ScanError
from brainage.scans.checks import check_shape, shape_text, three_axes

SPARE_BYTES = 64 * 2**20
"""What may lie before the voxels, and after those of a packed file: notes, history, colours."""

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 1024
_MGH_MAGIC = b"\0\0\0\1"
_MGH_HEADER_BYTES = 90

# What nibabel raises for headers with altered bytes, as found by altering bytes.
_DAMAGED = (
    HeaderDataError, HeaderTypeError, WrapStructError, ImageDataError, ImageFileError, MGHError,
    ValueError, KeyError, TypeError, OverflowError, np.linalg.LinAlgError, OSError,
)  # fmt: skip

_Image = nib.Nifti1Image | MGHImage


@dataclass(frozen=True)
class OpenedImage:
    """Voxels as stored (three axes, real values, scaled) and where they are."""

    data_XYZ: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    orientation_stated: bool


def open_image(path: Path, content: bytes) -> OpenedImage:
    """Parse a whole file; ``path`` only names it in errors.

    Raises:
        ScanError: stage ``read`` for bytes that are not one complete volume of a known format,
            ``check`` for sizes that no scan of a head has.
    """
    head = _unpacked(path, content, _HEAD_BYTES, whole=False)
    image_class = _recognised(path, head)
    with _damage_told(path, f"damaged {_format_name(image_class)} header"):
        header = _header(image_class, head)
        dtype: np.dtype[Any] = header.get_data_dtype()
        offset = int(header.get_data_offset())
        shape = tuple(int(size) for size in header.get_data_shape())
        if min(shape, default=0) < 1 or not 0 <= offset <= SPARE_BYTES:
            raise ValueError(f"a shape of {shape_text(shape)} at offset {offset}")
    if dtype.kind not in "iuf":
        raise ScanError(path, "read", f"expected real-valued voxels, got {dtype}")
    check_shape(path, three_axes(path, shape))
    promised = offset + dtype.itemsize * math.prod(shape)
    body = _unpacked(path, content, promised + SPARE_BYTES, whole=True)
    if len(body) < promised:
        raise ScanError(
            path, "read",
            f"truncated: the header promises {promised} bytes, the file has {len(body)}",
        )  # fmt: skip
    with _damage_told(path, f"damaged {_format_name(image_class)} file"):
        image = image_class.from_bytes(body)
        with np.errstate(over="ignore", invalid="ignore"):
            data = image.get_fdata(dtype=np.float32, caching="unchanged")
        affine = np.asarray(image.affine, dtype=np.float64)
        return OpenedImage(data.reshape(shape[:3]), affine, _orientation_stated(image, head))


@contextmanager
def _damage_told(path: Path, what: str) -> Iterator[None]:
    """Turn what nibabel raises for damaged content into a ScanError; its repairs stay silent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ScanError(path, "read", f"{what}: {reason}") from error


def _unpacked(path: Path, content: bytes, limit: int, *, whole: bool) -> bytes:
    """The first ``limit`` bytes, unpacked if gzip; ``whole`` insists that nothing follows.

    A file that is not packed is given as it is: it holds no more than it weighs.
    """
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as stream:
            unpacked = stream.read(limit)
            more = bool(whole and stream.read(1))
    except EOFError as error:
        raise ScanError(
            path, "read", f"truncated: the gzip stream stops after {len(content)} bytes"
        ) from error
    except (OSError, zlib.error, struct.error) as error:
        raise ScanError(path, "read", f"damaged gzip stream: {error}") from error
    if more:
        raise ScanError(
            path, "read", f"the gzip stream holds more than the {limit} bytes a scan with its "
            "header can have",
        )  # fmt: skip
    return unpacked


def _recognised(path: Path, head: bytes) -> type[_Image]:
    """The format by header size and magic, in either byte order."""
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if head[4:] else set()
    if 540 in sizes and head[4:8] == b"n+2\0" and len(head) >= 540:
        return nib.Nifti2Image
    if 348 in sizes and head[344:348] == b"n+1\0":
        return nib.Nifti1Image
    if head.startswith(_MGH_MAGIC) and len(head) >= _MGH_HEADER_BYTES:
        return MGHImage
    if sizes & {348, 540}:
        raise ScanError(path, "read", _why_not_nifti(head))
    raise ScanError(
        path, "read",
        "expected NIfTI (.nii, .nii.gz), MGH (.mgh, .mgz) or DICOM, "
        f"got a file starting {head[:8]!r}",
    )  # fmt: skip


def _why_not_nifti(head: bytes) -> str:
    """What a header of NIfTI's size without its magic is."""
    if len(head) < 348:
        return f"a header cut short: expected at least 348 bytes, got {len(head)}"
    if head[344:348] in {b"ni1\0", b"ni2\0"} or head[4:8] == b"ni2\0":
        return (
            "expected a single-file NIfTI (.nii, .nii.gz), got the header of an .hdr/.img pair; "
            "convert it to one file"
        )
    return (
        "expected NIfTI, got an Analyze header or a NIfTI header cut short or damaged; Analyze "
        "does not say which side is left, so convert it with a tool that knows its origin"
    )


def _header(image_class: type[_Image], head: bytes) -> Any:
    """Parse the header alone, without the extensions that may follow it."""
    if image_class is MGHImage:
        return MGHHeader(head[:_MGH_HEADER_BYTES])
    header_class = image_class.header_class
    return header_class(head[: header_class.template_dtype.itemsize])


def _orientation_stated(image: _Image, head: bytes) -> bool:
    """Whether the file says where its axes point; otherwise left and right are a guess."""
    if isinstance(image, MGHImage):
        return bool(struct.unpack(">h", head[28:30])[0] > 0)
    return bool(image.header["qform_code"] > 0 or image.header["sform_code"] > 0)


def _format_name(image_class: type[_Image]) -> str:
    return "MGH" if image_class is MGHImage else "NIfTI"
