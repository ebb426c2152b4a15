"""What a user names as SOURCE: a scan, a folder of scans, a BIDS folder or a manifest."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from brainage.errors import ManifestError
from brainage.scans.bids import find_bids_scans, is_bids_root
from brainage.scans.manifest import Manifest, ScanRecord, entity, read_manifest
from brainage.scans.table import refuse_problems

NIFTI_SUFFIXES = (".nii", ".nii.gz")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


def find_scans(source: Path, root: Path | None = None, *, require_ages: bool = False) -> Manifest:
    """The scans of a source, in a fixed order. Scans are named, not opened.

    Args:
        source: a NIfTI file; a folder, searched through all its folders; a BIDS folder, of which
            only the T1w scans are taken; a manifest.
        root: folder that a manifest's column ``scan`` starts from.
        require_ages: refuse a source that does not know the age of every scan.

    Raises:
        ManifestError: if the source does not exist, holds no scan, or has faulty tables.
    """
    if not os.path.exists(source):  # noqa: PTH110 - never raises
        raise ManifestError(f"{source}: no such file or folder")
    if source.is_dir():
        records = _of_folder(source)
    elif source.name.lower().endswith(TABLE_SUFFIXES):
        return read_manifest(source, root, require_ages=require_ages)
    elif is_nifti_name(source.name):
        path = source.absolute()
        records = (_record(path, PurePosixPath(path.name)),)
    else:
        raise ManifestError(
            f"{source}: expected a NIfTI file (.nii, .nii.gz), a folder of them, a BIDS folder "
            f"or a manifest (.csv), got a file named {source.name}"
        )
    if require_ages:
        _refuse_without_ages(source, records)
    return Manifest(records, source)


def is_nifti_name(name: str) -> bool:
    """Whether a file is named as a NIfTI scan and is not hidden."""
    return name.lower().endswith(NIFTI_SUFFIXES) and not name.startswith(".")


def _of_folder(folder: Path) -> tuple[ScanRecord, ...]:
    if is_bids_root(folder):
        records = find_bids_scans(folder)
        where = "looked for sub-*/[ses-*/]anat/*_T1w.nii[.gz], as in BIDS"
    else:
        paths = sorted(PurePosixPath(p.relative_to(folder).as_posix()) for p in _walk(folder))
        records = tuple(_record((folder / path).absolute(), path) for path in paths)
        where = "looked for *.nii and *.nii.gz in all its folders"
    if not records:
        raise ManifestError(f"no NIfTI scans found in {folder}; {where}")
    return records


def _walk(folder: Path) -> Iterator[Path]:
    """NIfTI files below a folder; linked folders are followed, once each, hidden ones skipped."""
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(parent))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(parent) / name) not in visited
        )
        yield from (Path(parent) / name for name in files if is_nifti_name(name))


def _record(path: Path, relative: PurePosixPath) -> ScanRecord:
    """A scan known by its path alone.

    Its subject is its ``sub-`` entity with the folders above it, or its path without the suffix:
    scans of equal names in different folders are different subjects.
    """
    label = entity(relative, "sub")
    if label is None:
        name = relative.name.lower()
        suffix = next(s for s in reversed(NIFTI_SUFFIXES) if name.endswith(s))
        subject = relative.as_posix()[: -len(suffix)]
    else:
        depth = next(
            i for i, part in enumerate(relative.parts) if entity(PurePosixPath(part), "sub")
        )
        subject = PurePosixPath(*relative.parts[:depth], label).as_posix()
    return ScanRecord(path, subject, entity(relative, "ses"))


def _refuse_without_ages(source: Path, records: tuple[ScanRecord, ...]) -> None:
    unknown = [record.scan for record in records if record.age_years is None]
    if len(unknown) == len(records):
        raise ManifestError(
            f"{source}: none of its {len(records)} scans has an age; give a manifest with the "
            "column age_years, or a BIDS folder whose participants.tsv has the column age"
        )
    refuse_problems(source, [f"no age for {scan.name}" for scan in unknown])
