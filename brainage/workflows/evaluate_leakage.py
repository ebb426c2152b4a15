"""Whether scans to be evaluated had a part in making the model, and what a model keeps to tell.

A model keeps hashes only: of the names of the subjects it was trained on or stopped by, and of the
bytes of their scans. A name or a scan that is among them ends an evaluation before any number of it
is known.
"""

import hashlib
from collections.abc import Iterable

from brainage.scans.manifest import ScanRecord

SUBJECT_HASHES = "training_subject_hashes"
SCAN_HASHES = "training_scan_sha256"
_SUBJECT_DIGITS = 16
_SCAN_DIGITS = 32


def training_identities(records: Iterable[ScanRecord], keys: Iterable[str]) -> dict[str, list[str]]:
    """What a model keeps of the scans it was trained on or stopped by, for ``calibration.json``.

    Args:
        records: those scans.
        keys: their names in the cache, which begin with the SHA-256 of the bytes that were read.
    """
    return {
        SUBJECT_HASHES: sorted({subject_hash(record.subject) for record in records}),
        SCAN_HASHES: sorted({key.partition("-")[0][:_SCAN_DIGITS] for key in keys}),
    }


def subject_hash(subject: str) -> str:
    """Sixteen hexadecimal digits of a subject's name."""
    name = f"subject {subject}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).hexdigest()[:_SUBJECT_DIGITS]
