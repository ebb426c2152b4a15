"""What the derivatives of each scan are called; no two scans ever share a name.

Names follow BIDS: ``sub-01_ses-2_run-1_space-MNI152NLin2009aSym_res-2_desc-preproc_T1w.nii.gz``.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.template import TEMPLATE_NAME
from brainage.scans.manifest import ScanRecord, entity

# What tells two T1w scans of one session apart in BIDS, in the order of file names.
KEPT_ENTITIES = ("acq", "ce", "rec", "run")


@dataclass(frozen=True)
class DerivativeName:
    """The names of one scan's files, relative to the folder of derivatives."""

    subject: str
    """BIDS label: letters and digits."""
    session: str | None
    others: str
    """Further entities with a leading underscore, e.g. ``_run-1``; may be empty."""
    resolution: str
    """Label of the spacing, e.g. ``2`` for 2 mm."""

    @property
    def prefix(self) -> str:
        """Entities that all files of the scan start with."""
        session = "" if self.session is None else f"_ses-{self.session}"
        return f"sub-{self.subject}{session}{self.others}"

    @property
    def folder(self) -> Path:
        """Where the images go."""
        parts = [f"sub-{self.subject}"]
        if self.session is not None:
            parts.append(f"ses-{self.session}")
        return Path(*parts, "anat")

    @property
    def image(self) -> Path:
        """The preprocessed T1w volume."""
        return self.folder / f"{self._in_space}_desc-preproc_T1w.nii.gz"

    @property
    def mask(self) -> Path:
        """The brain mask."""
        return self.folder / f"{self._in_space}_desc-brain_mask.nii.gz"

    @property
    def image_sidecar(self) -> Path:
        """All about the volume. Written last, so it vouches for the other files."""
        return self.folder / f"{self._in_space}_desc-preproc_T1w.json"

    @property
    def mask_sidecar(self) -> Path:
        """All about the mask."""
        return self.folder / f"{self._in_space}_desc-brain_mask.json"

    @property
    def transform(self) -> Path:
        """The affine transform in ITK's text format."""
        return self.folder / f"{self.prefix}_from-T1w_to-{TEMPLATE_NAME}_mode-image_xfm.txt"

    @property
    def picture(self) -> Path:
        """The contact sheet's picture."""
        return Path("qc") / f"{self.prefix}_res-{self.resolution}_desc-qc_T1w.jpg"

    @property
    def _in_space(self) -> str:
        return f"{self.prefix}_space-{TEMPLATE_NAME}_res-{self.resolution}"


def derivative_names(
    records: Sequence[ScanRecord], config: PreprocessConfig
) -> list[DerivativeName]:
    """One name for each scan, in order, all different.

    A subject or session that is no BIDS label loses what is neither letter nor digit. Scans whose
    names would be the same after that get a piece of the hash of what tells them apart: their
    subjects where these differ, else their paths.
    """
    resolution = f"{config.grid.spacing_mm:g}".replace(".", "p")
    names = [_name(record, resolution) for record in records]
    # Some file systems take upper and lower case for the same.
    same_subject = Counter((name.prefix.lower(), record.subject)
                           for name, record in zip(names, records, strict=True))  # fmt: skip
    same = Counter(name.prefix.lower() for name in names)
    unique = []
    for name, record in zip(names, records, strict=True):
        prefix = name.prefix.lower()
        if same[prefix] > same_subject[prefix, record.subject]:
            subject = f"{name.subject}x{_short_hash(record.subject)}"
            name = DerivativeName(subject, name.session, name.others, resolution)  # noqa: PLW2901
        if same_subject[prefix, record.subject] > 1:
            others = f"_acq-{_short_hash(record.scan.as_posix())}{_without_acq(name.others)}"
            name = DerivativeName(name.subject, name.session, others, resolution)  # noqa: PLW2901
        unique.append(name)
    return unique


def _name(record: ScanRecord, resolution: str) -> DerivativeName:
    subject = _label(record.subject, "sub")
    session = None if record.session is None else _label(record.session, "ses")
    found = (entity(PurePosixPath(record.scan.name), key) for key in KEPT_ENTITIES)
    others = "".join(
        f"_{part[: part.index('-')]}-{_label(part, part[: part.index('-')])}"
        for part in found
        if part is not None
    )
    return DerivativeName(subject, session, others, resolution)


def _label(text: str, key: str) -> str:
    """Letters and digits of a name, without its BIDS key; a hash where there are none."""
    last_named = re.sub(rf"(^|/){key}-", r"\1", text)
    return re.sub(r"[^0-9A-Za-z]", "", last_named) or f"x{_short_hash(text)}"


def _without_acq(others: str) -> str:
    return re.sub(r"_acq-[0-9A-Za-z]+", "", others)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
