"""One record for each DICOM study among some files: its T1w series, who, which visit, what age."""

import logging
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from brainage.scans.dicom.choice import choose
from brainage.scans.dicom.headers import read_headers
from brainage.scans.dicom.identity import age_at_study, subject_name
from brainage.scans.dicom.series import Series, Study, group_studies
from brainage.scans.record import ScanRecord

logger = logging.getLogger(__name__)


def dicom_records(
    root: Path, files: Sequence[Path], subject_from: str = "hash"
) -> tuple[ScanRecord, ...]:
    """Records of the studies that DICOM files hold, sorted by path.

    A study whose best series cannot be used has a record too: reading it says why. Several studies
    of one patient become the sessions ``ses-1``, ``ses-2`` in the order of their dates, which
    themselves are not told.

    Args:
        root: the source as the user named it, for messages.
        files: DICOM files.
        subject_from: see `subject_name`.
    """
    headers, unreadable = read_headers(files)
    records = _damaged(root, unreadable, {header.file.parent for header in headers})
    by_subject: dict[str, list[Study]] = defaultdict(list)
    for study in group_studies(headers):
        by_subject[subject_name(study.identity, subject_from)].append(study)
    for subject, studies in by_subject.items():
        studies.sort(key=lambda study: (study.identity.study_date, study.identity.study_time))
        for number, study in enumerate(studies, start=1):
            session = f"ses-{number}" if len(studies) > 1 else None
            records.append(_record(study, subject, session))
    return tuple(sorted(records, key=lambda record: record.scan))


def _record(study: Study, subject: str, session: str | None) -> ScanRecord:
    choice = choose(study.series)
    age_years, doubt = age_at_study(study.identity)
    note = "; ".join(part for part in (choice.reason, doubt) if part)
    sex = choice.series.first.sex
    return ScanRecord(_place(choice.series), subject, session, age_years, sex, note=note)


def _damaged(root: Path, files: Sequence[Path], good_folders: set[Path]) -> list[ScanRecord]:
    """A record for each folder none of whose files can be read; others are told of in the log.

    In a folder with readable files, a slice that is lost shows when its series is checked.
    """
    lost = {file.parent: file for file in sorted(files, reverse=True)}
    stray = [file for file in files if file.parent in good_folders]
    if stray:
        logger.warning(
            "%s: %d files named or marked as DICOM cannot be read and are left out",
            root,
            len(stray),
        )
    return [
        ScanRecord(file.absolute(), os.path.relpath(folder, root) if folder != root else file.name)
        for folder, file in sorted(lost.items())
        if folder not in good_folders
    ]


def _place(series: Series) -> Path:
    """The path that stands for a series: its first file, or the folder above all its files."""
    if len(series.folders) == 1:
        return series.first.file.absolute()
    return Path(os.path.commonpath([folder.absolute() for folder in series.folders]))
