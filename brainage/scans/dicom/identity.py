"""Names and ages of DICOM subjects without their identity.

A subject is named by a keyed hash: with the key, the same patient gets the same name again; without
it, nobody can try out patient numbers. The key is the variable ``BRAINAGE_SUBJECT_KEY``, or a file
in the user's configuration folder that is made on first use.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
from datetime import date
from functools import cache
from pathlib import Path

from brainage.errors import ConfigError
from brainage.scans.ages import MAX_AGE_YEARS
from brainage.scans.dicom.headers import Identity

logger = logging.getLogger(__name__)

KEY_VARIABLE = "BRAINAGE_SUBJECT_KEY"
SUBJECT_FROM = ("hash", "PatientID")

_AGE = re.compile(r"([0-9]{1,4})\s*([DWMY]?)")
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "": 1.0}
_DATE = re.compile(r"([0-9]{4})[.-]?([0-9]{2})[.-]?([0-9]{2})")
MAX_AGE_DIFFERENCE_YEARS = 1.0
"""Completed years are up to one year less than the time between the dates."""


def subject_name(identity: Identity, subject_from: str = "hash") -> str:
    """The name of a subject: ``sub-`` and letters and digits.

    Args:
        identity: of a header. Without a patient number, the study stands for the patient.
        subject_from: "hash" (keyed, of PatientID) or "PatientID" itself, for who asks for it.

    Raises:
        ConfigError: for any other value of ``subject_from``.
    """
    if subject_from not in SUBJECT_FROM:
        raise ConfigError(
            f"subject_from: expected {' or '.join(SUBJECT_FROM)}, got {subject_from!r}"
        )
    label = re.sub(r"[^A-Za-z0-9]", "", identity.patient)
    if subject_from == "PatientID" and label:
        return f"sub-{label}"
    who = f"patient {identity.patient}" if identity.patient else f"study {identity.study}"
    digest = hmac.new(_key(), who.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return f"sub-{digest.hexdigest()[:12]}"


def age_at_study(identity: Identity) -> tuple[float | None, str | None]:
    """Age in years at the study, and a note where the header contradicts itself.

    The age from birth and study date has the finer resolution, the stated one is more often left
    by who removes identities: the dates are used where both agree or no age is stated.
    """
    stated, dated = (
        _stated_age(identity.age),
        _age_between(identity.birth_date, identity.study_date),
    )
    if stated is None or dated is None:
        return (dated if stated is None else stated), None
    if 0 <= dated - stated < MAX_AGE_DIFFERENCE_YEARS:
        return dated, None
    return stated, "the age in the header and its dates differ by a year or more; the age is used"


def _stated_age(text: str) -> float | None:
    """PatientAge: 042Y, 018M, 010W, 003D; bare digits are years. Zero years is how it is erased."""
    match = _AGE.fullmatch(text.upper())
    if match is None:
        return None
    years = int(match[1]) * _YEARS_PER_UNIT[match[2]]
    erased = years == 0 and match[2] in {"Y", ""}
    return None if erased or years > MAX_AGE_YEARS else years


def _age_between(birth: str, study: str) -> float | None:
    """Years between two DICOM dates; none unless both are dates, in order, on different days."""
    born, scanned = _date(birth), _date(study)
    if born is None or scanned is None or born >= scanned:
        return None
    years = (scanned - born).days / 365.25
    return years if years <= MAX_AGE_YEARS else None


def _date(text: str) -> date | None:
    match = _DATE.fullmatch(text)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


@cache
def _key_of_file(file: Path) -> bytes:
    """The key in a file, made if there is none; one for this process if it cannot be written."""
    new = secrets.token_hex(32).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = file.read_bytes().strip()
        if len(key) < 16:
            raise ConfigError(f"{file}: expected a key of 16 or more characters") from None
        return key
    except OSError as error:
        logger.warning(
            "%s: cannot keep the key for names of subjects (%s): they will be others next time; "
            "set %s", file, error.strerror, KEY_VARIABLE,
        )  # fmt: skip
        return new
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(new)
    logger.info("%s: made the key that names subjects of DICOM scans; keep it secret", file)
    return new


def _key() -> bytes:
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given.encode("utf-8", "surrogateescape")
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return _key_of_file(Path(config, "brainage", "subject.key"))
