"""Whether scans to be evaluated had a part in making the model, and what a model keeps to tell.

A model keeps hashes only: of the names of the subjects it was trained on or stopped by, and of the
bytes of their scans. A name or a scan that is among them ends an evaluation before any number of it
is known. So does a subject or a scan in two parts of a split.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brainage.bundle.files import SCAN_HASHES, SUBJECT_HASHES
from brainage.data.splits import Split
from brainage.errors import BundleError, CohortError, ScanError
from brainage.reporting.counts import some_of
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan_bytes
from brainage.tracking.progress import StageProgress

_SUBJECT_DIGITS = 16
_SCAN_DIGITS = 32


class ScanIdentity(NamedTuple):
    """What tells whether two scans are of one person, or one and the same."""

    scan: str
    """Path, for messages."""

    subject: str
    sha256: str | None
    """Of the scan's bytes; None where they could not be read."""


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


def identities(scans: Sequence[tuple[Path, str]]) -> list[ScanIdentity]:
    """Read every scan for its hash; what a table says of it is not taken on trust.

    Args:
        scans: path and subject of each.
    """
    found = []
    with StageProgress("checking", len(scans), "scan") as progress:
        for path, subject in scans:
            try:
                sha256 = read_scan_bytes(path)[1]
            except ScanError:  # told of when its turn comes
                sha256 = None
            found.append(ScanIdentity(str(path), subject, sha256))
            progress.advance()
    return found


def refuse_training_scans(
    model: str,
    calibration: Mapping[str, Any],
    scans: Sequence[ScanIdentity],
    *,
    other_people: bool,
) -> list[str]:
    """Refuse scans and subjects that the model was trained on or stopped by.

    Args:
        model: its name, for messages.
        calibration: of the model.
        scans: what is to be evaluated.
        other_people: the user says that equal names are of other people. Equal bytes are refused
            all the same.

    Returns:
        Sentences about what was let pass.

    Raises:
        BundleError: if the model does not say what it was trained on.
        CohortError: names the first scan.
    """
    missing = [key for key in (SUBJECT_HASHES, SCAN_HASHES) if key not in calibration]
    if missing:
        raise BundleError(
            f"{model}: does not say which scans it was trained on ({missing[0]} is missing in "
            "calibration.json), so that nothing can be evaluated; train it again"
        )
    digests, names = set(calibration[SCAN_HASHES]), set(calibration[SUBJECT_HASHES])
    same = [scan for scan in scans if scan.sha256 and scan.sha256[:_SCAN_DIGITS] in digests]
    if same:
        some = some_of(len(same), len(scans), "scan", ("was", "were"))
        raise CohortError(
            f"{some} used in the training of {model}, byte for "
            f"byte; the first: {same[0].scan}; evaluate scans of people it has not seen"
        )
    known = [scan for scan in scans if subject_hash(scan.subject) in names]
    if not known:
        return []
    some = some_of(len(known), len(scans), "scan", ("is", "are"))
    found = f"{some} of a subject with the name of one that the model was trained on"
    if not other_people:
        raise CohortError(
            f"{found} ({model}); the first: {known[0].subject}; if these are other people of the "
            "same name, add --other-people"
        )
    return [f"{found}; the user says that these are other people."]


def refuse_shared_subjects(parts: Mapping[str, Sequence[ScanIdentity]]) -> None:
    """Refuse parts of a split, or folds, that share a subject or a scan.

    Args:
        parts: name of a part -> its scans.

    Raises:
        CohortError: names the subject and the parts.
    """
    part_of: dict[tuple[str, str], str] = {}
    for part, scans in parts.items():
        for scan in scans:
            marks = [("subject", scan.subject)]
            marks += [("scan", scan.sha256)] if scan.sha256 else []
            for mark in marks:
                other = part_of.setdefault(mark, part)
                if other != part:
                    raise CohortError(
                        f"{scan.scan}: {mark[0]} of {scan.subject} in two parts, {other} and "
                        f"{part}; what is of one subject belongs in one"
                    )


def refuse_leaking_split(split: Split, records: Sequence[ScanRecord], keys: Sequence[str]) -> None:
    """Refuse a split with a subject, or one scan under two names, in two of its parts.

    Args:
        split: indices into the others.
        records: all scans.
        keys: their names in the cache, which begin with the SHA-256 of the bytes that were read.

    Raises:
        CohortError: names the subject and the parts.
    """

    def part(indices: Iterable[int]) -> list[ScanIdentity]:
        return [
            ScanIdentity(str(records[i].scan), records[i].subject, keys[i].partition("-")[0])
            for i in indices
        ]

    refuse_shared_subjects(
        {"training": part(split.train), "validation": part(split.validation),
         "test": part(split.test)}
    )  # fmt: skip


def refuse_repeats(scans: Sequence[ScanIdentity]) -> None:
    """Refuse a scan that comes twice, under whatever name.

    Raises:
        CohortError: names both.
    """
    first: dict[str, ScanIdentity] = {}
    for scan in scans:
        if scan.sha256 and first.setdefault(scan.sha256, scan) is not scan:
            raise CohortError(
                f"{scan.scan}: the same scan as {first[scan.sha256].scan}, byte for byte; "
                "each scan may count once"
            )
