"""What a user names as SOURCE: a scan, a folder, a BIDS root, DICOM, an archive or a manifest."""

import logging
from dataclasses import replace
from pathlib import Path, PurePosixPath

from brainage.errors import ManifestError, ScanError
from brainage.scans.archive import is_archive_name, unpacked
from brainage.scans.bids import find_bids_scans, is_bids_root
from brainage.scans.located import is_folder, is_there, located
from brainage.scans.manifest import read_manifest
from brainage.scans.names import TABLE_SUFFIXES, is_dicom_file, is_volume_name, scan_suffix
from brainage.scans.record import Manifest, ScanRecord, entity, run_of
from brainage.scans.table import refuse_problems
from brainage.scans.walk import files_below

logger = logging.getLogger(__name__)


def find_scans(
    source: Path,
    root: Path | None = None,
    *,
    require_ages: bool = False,
    subject_from: str = "hash",
) -> Manifest:
    """The scans of a source, in a fixed order. Volumes are named, not opened.

    Args:
        source: a NIfTI or MGH file; a DICOM file, which stands for its series; a folder, searched
            through all its folders for both; a BIDS folder, of which only the T1w scans are taken;
            a zip or tar archive of any of these; a manifest.
        root: folder that a manifest's column ``scan`` starts from.
        require_ages: refuse a source that does not know the age of every scan.
        subject_from: how DICOM subjects are named: "hash" (keyed, of PatientID) or "PatientID".

    Raises:
        ManifestError: if the source does not exist, holds no scan, has faulty tables, or is an
            archive that is damaged or refused.
    """
    if not is_there(source):
        raise ManifestError(f"{source}: no such file or folder")
    if source.name.lower().endswith(TABLE_SUFFIXES) and not is_folder(source):
        return read_manifest(source, root, require_ages=require_ages)
    try:
        place = unpacked(source) if _is_archive(source) else located(source)
    except ScanError as error:  # a path into an archive
        raise ManifestError(f"{source}: {error.reason}") from error
    if not is_there(place):
        raise ManifestError(f"{source}: no such file or folder in the archive")
    try:
        found = _records(place, subject_from)
    except ManifestError as error:
        raise ManifestError(str(error).replace(str(place), str(source))) from error
    shown = source.absolute()
    records = tuple(
        replace(record, scan=shown / record.scan.relative_to(place.absolute())) for record in found
    )
    for record in records:
        if record.note:
            logger.info("%s: %s", record.scan, record.note)
    if require_ages:
        _refuse_without_ages(source, records)
    return Manifest(records, source)


def _is_archive(source: Path) -> bool:
    return is_archive_name(source.name) and source.is_file()


def _records(place: Path, subject_from: str) -> tuple[ScanRecord, ...]:
    """What is at a place on disk."""
    if is_folder(place):
        return _of_folder(place, subject_from)
    path = place.absolute()
    if is_volume_name(place.name):
        return (_record(path, PurePosixPath(path.name)),)
    if place.is_file() and is_dicom_file(place):
        # It stands for its series: there was no choice to explain.
        found = _of_dicom(place, [place], subject_from)
        return tuple(replace(record, note=None) for record in found)
    raise ManifestError(
        f"{place}: expected a NIfTI, MGH or DICOM file, a folder of them, a BIDS folder, a zip or "
        f"tar archive of them, or a manifest (.csv), got a file named {place.name}"
    )


def _of_folder(folder: Path, subject_from: str) -> tuple[ScanRecord, ...]:
    root = _bids_root(folder)
    if root is not None:
        records = find_bids_scans(root)
        where = "looked for sub-*/[ses-*/]anat/*_T1w.nii[.gz], as in BIDS"
    else:
        files = list(files_below(folder))
        volumes = [
            _record(file.absolute(), PurePosixPath(file.relative_to(folder).as_posix()))
            for file in files
            if is_volume_name(file.name)
        ]
        dicom = [file for file in files if file.is_file() and is_dicom_file(file)]
        records = (*volumes, *(_of_dicom(folder, dicom, subject_from) if dicom else ()))
        where = "looked for NIfTI (.nii, .nii.gz), MGH (.mgh, .mgz) and DICOM in all its folders"
        _tell_of_archives(folder, files)
    if not records:
        raise ManifestError(f"no scans found in {folder}; {where}")
    return tuple(sorted(records, key=lambda record: record.scan))


def _bids_root(folder: Path) -> Path | None:
    """The folder if it is laid out as BIDS, or the one it holds, as archives of folders do."""
    if is_bids_root(folder):
        return folder
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    if len(inside) == 1 and inside[0].is_dir() and is_bids_root(inside[0]):
        return inside[0]
    return None


def _of_dicom(place: Path, files: list[Path], subject_from: str) -> tuple[ScanRecord, ...]:
    from brainage.scans.dicom.records import dicom_records  # noqa: PLC0415 - pydicom is slow

    return dicom_records(place, files, subject_from)


def _tell_of_archives(folder: Path, files: list[Path]) -> None:
    archives = [file for file in files if is_archive_name(file.name)]
    if archives:
        logger.warning(
            "%s: %d archives inside it are not opened, e.g. %s; name each as a source",
            folder, len(archives), archives[0].name,
        )  # fmt: skip


def _record(path: Path, relative: PurePosixPath) -> ScanRecord:
    """A scan known by its path alone.

    Its subject is its ``sub-`` entity with the folders above it, or its path without the suffix:
    scans of equal names in different folders are different subjects.
    """
    label = entity(relative, "sub")
    if label is None:
        subject = relative.as_posix()[: -len(scan_suffix(relative.name) or "")]
    else:
        depth = next(
            i for i, part in enumerate(relative.parts) if entity(PurePosixPath(part), "sub")
        )
        above = [part for part in relative.parts[:depth] if part != "anat"]  # BIDS's own folder
        subject = PurePosixPath(*above, label).as_posix()
    return ScanRecord(path, subject, entity(relative, "ses"), run=run_of(relative))


def _refuse_without_ages(source: Path, records: tuple[ScanRecord, ...]) -> None:
    unknown = [record.scan for record in records if record.age_years is None]
    if len(unknown) == len(records):
        raise ManifestError(
            f"{source}: none of its {len(records)} scans has an age; give a manifest with the "
            "column age_years, or a BIDS folder whose participants.tsv has the column age"
        )
    refuse_problems(source, [f"no age for {scan.name}" for scan in unknown])
