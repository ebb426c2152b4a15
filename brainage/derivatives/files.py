"""Write files so that a reader, and a crash, finds them whole or not at all."""

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import numpy.typing as npt

from brainage.errors import RunFolderError
from brainage.preprocess.state import Matrix

# Folders of files that are being written; what a killed run leaves of them is swept up later.
TEMPORARY_PREFIX = ".writing-"

# NIfTI's code for coordinates of an MNI template.
_MNI = 4


def write_bytes(path: Path, content: bytes) -> None:
    """Write one file under another name, then rename it.

    Raises:
        RunFolderError: if it cannot be written.
    """
    write_together(path.parent, {Path(path.name): content})


def write_together(out: Path, contents: Mapping[Path, bytes]) -> None:
    """Write several files in a folder of their own, then move them into place in order.

    The last of them vouches for the others: it is taken away first, so that a run which is cut off
    leaves no old file that vouches for new ones.

    Args:
        out: folder that the names start from.
        contents: bytes by name.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    try:
        with TemporaryDirectory(dir=out, prefix=TEMPORARY_PREFIX) as folder:
            parts = {}
            for number, (name, content) in enumerate(contents.items()):
                part = Path(folder) / str(number)
                with part.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                parts[name] = part
            *_, last = contents
            if len(contents) > 1:
                (out / last).unlink(missing_ok=True)
            for name, part in parts.items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                part.replace(out / name)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot write: {error.strerror or error}") from error


def nifti_bytes(data_XYZ: npt.NDArray[np.float32] | npt.NDArray[np.uint8], affine: Matrix) -> bytes:
    """A gzipped NIfTI-1 file of a volume in MNI space."""
    image = nib.Nifti1Image(data_XYZ, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, _MNI)
    image.set_qform(affine, _MNI)
    # Without name and time the same volume is the same file.
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)
