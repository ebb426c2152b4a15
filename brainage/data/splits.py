"""Who trains, validates and tests: by subject, balanced over age and site, fixed by a seed.

Subjects are ordered by site, age bin and a hash of seed and name, and parts are taken from that
order at even distances. Every part thus has its share of every site and age bin, to within one
subject, also where a stratum has fewer subjects than there are parts. The order of the records does
not matter, nor does the version of any library.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from brainage.data.split_config import SplitConfig
from brainage.errors import CohortError
from brainage.scans.manifest import ScanRecord

_LEFT_TO_TRAIN = 2  # a single age teaches nothing
_LEFT_BY_TEST = _LEFT_TO_TRAIN + 1  # and one to validate on


@dataclass(frozen=True)
class Split:
    """Indices into the records, rising; all scans of a subject are in one part."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def make_split(records: Sequence[ScanRecord], config: SplitConfig, seed: int) -> Split:
    """One split by the configured fractions; every part has at least one subject.

    Raises:
        CohortError: if a scan has no age, or there are fewer than four subjects.
    """
    subjects = _ordered_subjects(records, config.num_age_bins, seed)
    if len(subjects) <= _LEFT_BY_TEST:
        raise CohortError(
            f"expected at least {_LEFT_BY_TEST + 1} subjects for training, validation and test, "
            f"got {len(subjects)} in {len(records)} scans"
        )
    count = min(round(config.test_fraction * len(subjects)), len(subjects) - _LEFT_BY_TEST)
    test = _spread(subjects, count, seed, "test")
    return _split(records, subjects, test, config, seed)


def make_folds(records: Sequence[ScanRecord], config: SplitConfig, seed: int) -> list[Split]:
    """Folds that test every subject once; each takes its validation part from the others.

    Raises:
        CohortError: if a scan has no age, or there are too few subjects for the folds.
    """
    folds = config.folds
    assert folds is not None
    subjects = _ordered_subjects(records, config.num_age_bins, seed)
    # the largest fold tests ceil(n / folds) of n subjects
    needed = next(n for n in itertools.count(folds) if n + -n // folds >= _LEFT_BY_TEST)
    if len(subjects) < needed:
        raise CohortError(
            f"expected at least {needed} subjects for {folds} folds, "
            f"got {len(subjects)} in {len(records)} scans"
        )
    return [
        _split(records, subjects, subjects[fold::folds], config, seed, fold=fold)
        for fold in range(folds)
    ]


def refuse_overlap(records: Sequence[ScanRecord], unseen: Sequence[ScanRecord]) -> None:
    """Refuse unseen scans whose subject or content is among the records.

    Raises:
        CohortError: names the subjects, the first ten.
    """
    subjects = {record.subject for record in records}
    contents = {record.sha256 for record in records} - {None}
    both = sorted({u.subject for u in unseen if u.subject in subjects or u.sha256 in contents})
    if both:
        more = f" and {len(both) - 10} more" if len(both) > 10 else ""
        raise CohortError(
            f"expected unseen subjects to be in no split, got {', '.join(both[:10])}{more} in both"
        )


def _split(
    records: Sequence[ScanRecord],
    subjects: Sequence[str],
    test: Sequence[str],
    config: SplitConfig,
    seed: int,
    *,
    fold: int = 0,
) -> Split:
    tested = set(test)
    others = [subject for subject in subjects if subject not in tested]
    count = min(round(config.validation_fraction * len(subjects)), len(others) - _LEFT_TO_TRAIN)
    validated = set(_spread(others, count, seed, f"validation{fold}"))
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index, record in enumerate(records):
        part = 2 if record.subject in tested else int(record.subject in validated)
        parts[part].append(index)
    train, validation, held_out = (tuple(part) for part in parts)
    return Split(train, validation, held_out)


def _ordered_subjects(records: Sequence[ScanRecord], num_age_bins: int, seed: int) -> list[str]:
    """Subjects by site, age bin and hash; a subject counts with the age of the first scan."""
    ages: dict[str, float] = {}
    sites: dict[str, str] = {}
    without_age = [record.subject for record in records if record.age_years is None]
    if without_age:
        raise CohortError(
            f"expected an age for every scan, got {len(without_age)} of {len(records)} without, "
            f"the first of {without_age[0]}"
        )
    for record in records:
        name, age_years, site = record.subject, record.age_years or 0.0, record.site or ""
        ages[name] = min(age_years, ages.get(name, age_years))
        sites[name] = min(site, sites.get(name, site))
    by_age = sorted(ages, key=lambda name: (ages[name], _hash(seed, "bin", name)))
    bins = {name: rank * num_age_bins // len(by_age) for rank, name in enumerate(by_age)}
    return sorted(ages, key=lambda name: (sites[name], bins[name], _hash(seed, "order", name)))


def _spread(subjects: Sequence[str], count: int, seed: int, purpose: str) -> list[str]:
    """``count`` subjects, at least one, at even distances from a start that the seed decides."""
    count = max(count, 1)
    start = int.from_bytes(_hash(seed, purpose, "start")[:4], "big") / 2**32
    return [subjects[int((place + start) * len(subjects) / count)] for place in range(count)]


def _hash(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest()
