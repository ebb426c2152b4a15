"""A BIDS folder: its T1w scans, and who was scanned at what age."""

import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from brainage.errors import ManifestError
from brainage.scans.ages import parse_age, years_per_unit
from brainage.scans.record import ScanRecord, entity, run_of
from brainage.scans.table import Row, read_table, refuse_problems

_MISSING = frozenset({"", "n/a"})
_NOT_MAGNITUDE = re.compile(r"_part-(?:phase|real|imag)_")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Person:
    age_years: float | None
    sex: str | None
    site: str | None


def is_bids_root(folder: Path) -> bool:
    """Whether a folder is laid out as BIDS: subjects' folders, or a description of them."""
    if (folder / "dataset_description.json").is_file() or (folder / "participants.tsv").is_file():
        return True
    return any(folder.glob("sub-*/anat")) or any(folder.glob("sub-*/ses-*/anat"))


def find_bids_scans(root: Path) -> tuple[ScanRecord, ...]:
    """The T1w scans of the subjects of a BIDS folder, sorted by path; derivatives are left out.

    Every file named ``*_T1w`` is a scan of its own, whatever its session, acquisition,
    reconstruction or run; only phase, real and imaginary parts are left out. The age is that of the
    session where ``sub-*_sessions.tsv`` has one, else that of ``participants.tsv``, in the
    ``Units`` of the JSON file beside it or of that name at the root (years without one).

    Raises:
        ManifestError: if a table of ages cannot be read; lists its bad rows.
    """
    scans = sorted(
        path
        for pattern in ("sub-*/anat/*_T1w.nii*", "sub-*/ses-*/anat/*_T1w.nii*")
        for path in root.glob(pattern)
        if path.name.endswith((".nii", ".nii.gz"))
        and not path.name.startswith(".")
        and not _NOT_MAGNITUDE.search(path.name)
    )
    people = _read_people(root / "participants.tsv", "participant_id", "sub-")
    session_tables: dict[str, dict[str, _Person]] = {}
    records = []
    for scan in scans:
        parts = scan.relative_to(root).parts
        subject = parts[0]
        session = entity(PurePosixPath(*parts), "ses")
        if subject not in session_tables:
            table = root / subject / f"{subject}_sessions.tsv"
            session_tables[subject] = _read_people(table, "session_id", "ses-")
        person = people.get(subject, _Person(None, None, None))
        visit = session_tables[subject].get(session or "", person)
        age_years = person.age_years if visit.age_years is None else visit.age_years
        records.append(
            ScanRecord(
                scan.absolute(),
                subject,
                session,
                age_years,
                visit.sex or person.sex,
                visit.site or person.site,
                run=run_of(PurePosixPath(scan.name)),
            )
        )
    _tell_of_repeats(root, records)
    unlisted = sorted({record.subject for record in records} - people.keys())
    if people and unlisted:
        shown = ", ".join(unlisted[:10])
        logger.warning(
            "%s: %d subjects not in it: %s", root / "participants.tsv", len(unlisted), shown
        )
    return tuple(records)


def _tell_of_repeats(root: Path, records: Sequence[ScanRecord]) -> None:
    counts = Counter((record.subject, record.session) for record in records)
    repeated = sum(count > 1 for count in counts.values())
    if repeated:
        logger.info(
            "%s: %d T1w scans of %d visits; %d visits have several, each of which is a row",
            root, len(records), len(counts), repeated,
        )  # fmt: skip


def _read_people(path: Path, key: str, prefix: str) -> dict[str, _Person]:
    """A participants or sessions table by name, with the prefix that some tables leave out."""
    if not path.is_file():
        return {}
    table = read_table(path, delimiters="\t")
    if key not in table.columns:
        raise ManifestError(f"{path}: the column {key} is missing; got {', '.join(table.columns)}")
    units = _age_units(path)
    people: dict[str, _Person] = {}
    problems = list(table.problems)
    for row in table.rows:
        name = prefix + row.cells[key].removeprefix(prefix)
        try:
            person = _read_person(path, row, units)
            if people.setdefault(name, person) != person:
                raise ValueError(f"{name} again, with other values than before")
        except ValueError as error:
            problems.append(f"row {row.number}: {error}")
    refuse_problems(path, problems)
    return people


def _read_person(path: Path, row: Row, units: str) -> _Person:
    text = row.cells.get("age", "")
    try:
        age = parse_age(text, units)
    except ValueError as error:
        raise ValueError(f"age: {error}") from None
    if age.note is not None:
        logger.warning("%s: row %d: age: %s", path, row.number, age.note)
    sex, site = (row.cells.get(name, "") for name in ("sex", "site"))
    return _Person(
        age.years,
        None if sex.lower() in _MISSING else sex,
        None if site.lower() in _MISSING else site,
    )


def _age_units(table: Path) -> str:
    """The ``Units`` of age in a table's JSON file; years without one.

    The file lies beside the table, or at the root for the sessions of all subjects.

    Raises:
        ManifestError: if the file is not JSON or its units are not years, months, weeks or days.
    """
    beside, general = table.with_suffix(".json"), table.parent.parent / "sessions.json"
    path = beside
    if not beside.is_file() and table.name.endswith("_sessions.tsv"):
        path = general
    if not path.is_file():
        return "years"
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))
        columns = description if isinstance(description, dict) else {}
        age: object = next((entry for name, entry in columns.items() if name.lower() == "age"), {})
        units = str(age.get("Units") or "years") if isinstance(age, dict) else "years"
        years_per_unit(units)
    except ValueError as error:  # not JSON, not UTF-8, or other units
        raise ManifestError(f"{path}: {error}") from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    return units
