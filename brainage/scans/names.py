"""What kind of file a name or a few bytes promise."""

import re
from pathlib import Path

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mgh", ".mgz")
PAIR_SUFFIXES = (".hdr",)
"""Headers of Analyze and NIfTI pairs: named as scans, so that their rows say why not."""
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_DICOM_MAGIC = b"DICM"
_PREAMBLE_BYTES = 128
# Scanners also name files by number, by UID or without any suffix.
_MAYBE_DICOM = re.compile(r"[^.]+|[0-9.]+|.*\.[0-9]+")
_NOT_DICOM = frozenset({"dicomdir", "license", "copying", "readme", "makefile"})


def is_volume_name(name: str) -> bool:
    """Whether a file is named as a NIfTI or MGH scan, or as a header of a pair; not hidden."""
    return not name.startswith(".") and scan_suffix(name) is not None


def scan_suffix(name: str) -> str | None:
    """The suffix that makes a name that of a scan."""
    suffixes = sorted((*VOLUME_SUFFIXES, *PAIR_SUFFIXES), key=len, reverse=True)
    return next((suffix for suffix in suffixes if name.lower().endswith(suffix)), None)


def is_dicom(name: str, content: bytes) -> bool:
    """Whether a file is DICOM: by its mark, or, as old files have none, by its suffix."""
    marked = content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _DICOM_MAGIC
    return marked or name.lower().endswith(_DICOM_SUFFIXES)


def is_dicom_file(file: Path) -> bool:
    """The same for a file on disk, opened only when its name leaves it open."""
    name = file.name.lower()
    if name.startswith(".") or name in _NOT_DICOM:
        return False
    if name.endswith(_DICOM_SUFFIXES):
        return True
    if not _MAYBE_DICOM.fullmatch(name):
        return False
    try:
        with file.open("rb") as stream:
            return is_dicom(name, stream.read(_PREAMBLE_BYTES + 4))
    except OSError:
        return False
