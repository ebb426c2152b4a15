"""From a scan's path to a file on disk: a path into an archive is that of the unpacked member."""

import os
from pathlib import Path

from brainage.errors import ManifestError, ScanError
from brainage.scans.archive import is_archive_name, unpacked


def is_file(path: Path) -> bool:
    """Whether a file is there; unlike Path.is_file, it takes any name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder is there; unlike Path.is_dir, it takes any name."""
    return os.path.isdir(path)  # noqa: PTH112


def archive_of(path: Path) -> Path | None:
    """The archive that a path leads into, e.g. ``a.zip`` of ``a.zip/sub-01/t1.nii``."""
    if os.path.lexists(path):
        return None
    return next(
        (folder for folder in path.parents if is_archive_name(folder.name) and is_file(folder)),
        None,
    )


def is_there(path: Path) -> bool:
    """Whether something is at a path; of one in an archive, whether the archive is."""
    return os.path.exists(path) or archive_of(path) is not None  # noqa: PTH110 - never raises


def located(path: Path) -> Path:
    """The file or folder on disk; a path that leads into no archive is returned as it is.

    Raises:
        ScanError: if the archive cannot be unpacked.
    """
    archive = archive_of(path)
    if archive is None:
        return path
    try:
        return unpacked(archive) / path.relative_to(archive)
    except ManifestError as error:
        reason = str(error).removeprefix(f"{archive}: ")
        raise ScanError(path, "read", f"in {archive.name}: {reason}") from error


def read_file(path: Path, file: Path) -> bytes:
    """The bytes of ``file``; ``path`` names it in errors.

    Raises:
        ScanError: stage ``read``, when there is no such file or it is empty or unreadable.
    """
    if not is_file(file):
        raise ScanError(path, "read", "expected a scan, found nothing at this path")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ScanError(path, "read", f"cannot read the file: {error.strerror}") from error
    if not content:
        raise ScanError(path, "read", "expected a scan, got an empty file (0 bytes)")
    return content
