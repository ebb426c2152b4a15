"""A DICOM series as the bytes of a NIfTI file: judged, checked, converted."""

from collections.abc import Iterable
from pathlib import Path

from brainage.errors import ScanError
from brainage.scans.dicom.choice import choose, weighting
from brainage.scans.dicom.convert import to_nifti
from brainage.scans.dicom.geometry import check_geometry
from brainage.scans.dicom.headers import read_headers
from brainage.scans.dicom.series import Series, group_studies
from brainage.scans.names import is_dicom_file
from brainage.scans.walk import files_below


def series_bytes(path: Path, file: Path) -> bytes:
    """The series that one DICOM file belongs to, made up of the files beside it.

    Args:
        path: names the scan in errors.
        file: any file of the series.

    Raises:
        ScanError: if the series is not T1-weighted, not one volume, or cannot be converted.
    """
    own, unreadable = read_headers([file])
    if not own:
        what = "a damaged DICOM file" if unreadable else "a DICOM file without an image"
        raise ScanError(path, "read", f"expected an image, got {what}")
    wanted = own[0].identity
    beside, _ = read_headers(_dicom_files(file.parent.iterdir()))
    studies = group_studies(
        header
        for header in beside
        if (header.identity.study, header.identity.series) == (wanted.study, wanted.series)
    )
    if len(studies) != 1:
        raise ScanError(
            path, "read", "the series is used for several patients; sort the files into folders"
        )
    (series,) = studies[0].series
    return _checked_bytes(path, series)


def folder_bytes(path: Path, folder: Path) -> bytes:
    """The T1w series of the one DICOM study below a folder.

    Raises:
        ScanError: if there is no DICOM study or more than one, or the series cannot be used.
    """
    headers, unreadable = read_headers(_dicom_files(files_below(folder)))
    studies = group_studies(headers)
    if len(studies) != 1:
        found = f"{len(studies)} DICOM studies"
        if not studies:
            damaged = f" that can be read ({len(unreadable)} are damaged)" if unreadable else ""
            found = f"a folder without DICOM files{damaged}"
        raise ScanError(path, "read", f"expected a scan file or one DICOM study, found {found}")
    return _checked_bytes(path, choose(studies[0].series).series)


def _dicom_files(files: Iterable[Path]) -> list[Path]:
    return sorted(file for file in files if file.is_file() and is_dicom_file(file))


def _checked_bytes(path: Path, series: Series) -> bytes:
    judged = weighting(series)
    if judged.evidence < 0:
        raise ScanError(path, "check", f"expected a T1w series, got {series.name}: {judged.reason}")
    check_geometry(path, series)
    return to_nifti(path, series)
