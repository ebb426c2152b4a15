"""What is known about one scan before it is opened."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UNKNOWN = "unknown"
"""What a group of scans is called whose site or sex no table tells."""


@dataclass(frozen=True)
class ScanRecord:
    """One scan and what is known about the person in it."""

    scan: Path
    """Absolute path of the scan; the file need not exist. It may lead into an archive, and a DICOM
    file stands for its series."""
    subject: str
    """Who was scanned; all scans of one subject stay in one part of every split."""
    session: str | None = None
    age_years: float | None = None
    """Age at the scan."""
    sex: str | None = None
    site: str | None = None
    sha256: str | None = None
    """Of the scan's bytes, lower-case hexadecimal."""
    run: str | None = None
    """What tells scans of one session apart, e.g. "run-2" or "acq-mprage_run-1"."""
    note: str | None = None
    """How the scan was chosen, where its source left a choice; says nothing about the person."""


@dataclass(frozen=True)
class Manifest:
    """Scans in the order of their source."""

    records: tuple[ScanRecord, ...]
    source: Path
    """The table, folder or file that the records were read from."""


def entity(path: PurePosixPath, key: str) -> str | None:
    """A BIDS entity of a path, e.g. ``sub-01`` for the key "sub"; the file name comes first."""
    for part in reversed(path.parts):
        match = re.match(rf"(?:.*_)?({key}-[^_.]+)", part)
        if match:
            return match[1]
    return None


def run_of(path: PurePosixPath) -> str | None:
    """The entities of a BIDS file name that tell the scans of one session apart."""
    if not path.name.startswith("sub-"):
        return None
    parts = path.name.partition(".")[0].split("_")
    own = [part for part in parts if "-" in part and not part.startswith(("sub-", "ses-"))]
    return "_".join(own) or None
