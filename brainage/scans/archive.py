"""Unpack a zip or tar archive into the workspace, or refuse it by the name of the bad member.

Refused are members that would land outside the folder, links, devices, encrypted members, and
archives that unpack to far more than scans do. Nothing of a refused archive stays.
"""

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from brainage.errors import ManifestError
from brainage.scans.workspace import workspace

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_MEMBERS = 500_000
MAX_RATIO = 100.0
"""Bytes unpacked for one byte of archive. Scans pack to a half; a mostly empty one to a thirtieth."""  # noqa: E501
RATIO_FLOOR_BYTES = 100 * 2**20
"""Archives that unpack to less are harmless, whatever their ratio."""
MAX_BYTES = 500 * 2**30

_COPY_BYTES = 2**20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


_Archive = zipfile.ZipFile | tarfile.TarFile


@dataclass(frozen=True)
class _Member:
    """A file of an archive: its name as stored, its size unpacked, how to open it."""

    name: str
    size: int
    fault: str | None
    handle: zipfile.ZipInfo | tarfile.TarInfo


def is_archive_name(name: str) -> bool:
    """Whether a file is named as an archive that can be unpacked, and is not hidden."""
    return name.lower().endswith(ARCHIVE_SUFFIXES) and not name.startswith(".")


def unpacked(archive: Path) -> Path:
    """The folder with the archive's files, unpacked on the first call.

    Processes that share a workspace share the folder.

    Raises:
        ManifestError: if the archive is damaged or refused, or there is no room for it.
    """
    try:
        found = archive.stat()
        named = f"{archive.resolve()}|{found.st_size}|{found.st_mtime_ns}"
        target = workspace() / hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:24]
        if target.is_dir():
            return target
        making = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            _unpack(archive, making)
            _move(making, target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ManifestError(f"{archive}: damaged archive: {reason}") from error
    except OSError as error:
        raise ManifestError(f"{archive}: cannot be unpacked: {error.strerror or error}") from error
    return target


def _move(making: Path, target: Path) -> None:
    """Put the finished folder in place, unless another process was faster."""
    try:
        making.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _unpack(archive: Path, target: Path) -> None:
    with ExitStack() as stack:
        packed: _Archive
        if zipfile.is_zipfile(archive):
            packed = zipped = stack.enter_context(zipfile.ZipFile(archive))
            members = _of_zip(zipped)
        elif tarfile.is_tarfile(archive):
            packed = taped = stack.enter_context(tarfile.open(archive, "r:*"))
            members = _of_tar(taped)
        else:
            raise ManifestError(
                f"{archive}: expected a zip or tar archive, got a file that is neither, or is "
                "cut short"
            )
        _write_members(archive, target, packed, members)


def _write_members(
    archive: Path,
    target: Path,
    packed: _Archive,
    members: Iterator[_Member],
) -> None:
    packed_bytes, total, seen = archive.stat().st_size, 0, set[PurePosixPath]()
    room = min(MAX_BYTES, shutil.disk_usage(target).free)
    for member in members:
        place, fault = _place(member.name)
        total += member.size
        fault = fault or member.fault
        if place in seen:
            fault = fault or "is there twice"
        if len(seen) >= MAX_MEMBERS:
            fault = fault or f"is one more than {MAX_MEMBERS} files"
        if total > RATIO_FLOOR_BYTES and total > MAX_RATIO * packed_bytes:
            fault = fault or (
                f"unpacks to {total} bytes with those before it, more than {MAX_RATIO:g} times the "
                f"archive's {packed_bytes}: a bomb, or not scans"
            )
        if total > room:
            fault = fault or f"does not fit: {total} bytes so far, room for {room}"
        if fault:
            raise ManifestError(f"{archive}: refused: the member {member.name!r} {fault}")
        seen.add(place)
        _write_member(packed, member, target / place)


def _write_member(packed: _Archive, member: _Member, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with _opened(packed, member) as source, place.open("xb") as file:
        shutil.copyfileobj(source, file, _COPY_BYTES)
        if file.tell() != member.size:
            raise EOFError(f"{member.name!r} ends after {file.tell()} of {member.size} bytes")


def _opened(packed: _Archive, member: _Member) -> IO[bytes]:
    if isinstance(packed, zipfile.ZipFile):
        assert isinstance(member.handle, zipfile.ZipInfo)
        return packed.open(member.handle)
    assert isinstance(member.handle, tarfile.TarInfo)
    source = packed.extractfile(member.handle)
    assert source is not None, "only regular files come here"
    return source


def _place(name: str) -> tuple[PurePosixPath, str | None]:
    """Where a member goes below the target, and what is wrong with its name."""
    # Archives made on Windows can have its separators.
    place = PurePosixPath(name.replace("\\", "/"))
    drive = len(name) > 1 and name[1] == ":"
    if place.is_absolute() or drive or ".." in place.parts:
        return place, "would land outside the folder"
    if not place.parts or "\0" in name or any(len(os.fsencode(p)) > 255 for p in place.parts):
        return place, "has a name that no file can have"
    return place, None


def _of_zip(packed: zipfile.ZipFile) -> Iterator[_Member]:
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        fault = None
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            fault = "is a link or a device"
        elif info.flag_bits & 1:
            fault = "is encrypted"
        if info.is_dir() and fault is None:
            _, fault = _place(info.filename)
            if fault is None:
                continue
        yield _Member(info.filename, info.file_size, fault, info)


def _of_tar(packed: tarfile.TarFile) -> Iterator[_Member]:
    for info in packed:
        fault = None
        if not (info.isreg() or info.isdir()) or info.issparse():
            fault = "is a link, a device or sparse"
        if info.isdir():
            _, fault = _place(info.name) if info.name not in {".", "./"} else (None, None)
            if fault is None:
                continue
        yield _Member(info.name, info.size, fault, info)
