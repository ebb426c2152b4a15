"""Who trains, validates and tests: by subject, balanced over site, age and sex, fixed by a seed.

Subjects are ordered by site, age bin, sex and a hash of seed and name, and parts are taken from
that order at even distances. Every part thus has its share of every site, of every age bin there,
and of either sex in it, to within one subject, also where a stratum has fewer subjects than there
are parts. The order runs to and fro, so that neighbouring strata are alike and what one of them
has too few of, the next makes up for. The order of the records does not matter, nor does the
version of any library.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

    @property
    def digest(self) -> str:
        """Changes with any scan that is in another part."""
        content = repr((self.train, self.validation, self.test))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def make_split(records: Sequence[ScanRecord], config: SplitConfig, seed: int) -> Split:
    """One split by the configured fractions; every part has at least one subject.

    Raises:
        CohortError: if a scan has no age, or there are fewer than four subjects.
    """
    subjects = _ordered_subjects(records, config, seed)
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
    subjects = _ordered_subjects(records, config, seed)
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


def make_site_folds(
    records: Sequence[ScanRecord], config: SplitConfig, seed: int
) -> dict[str, Split]:
    """A fold for each site with enough subjects, by the site's name, in alphabetical order.

    A site's scans are tested by a network that saw no scan of that site, in training or
    validation. A subject who was scanned elsewhere too is in none of the fold's parts with those
    other scans. Sites that are too small train or validate in every fold.

    Raises:
        CohortError: if a scan has no site or no age, or fewer than two sites can be tested.
    """
    subjects = _ordered_subjects(records, config, seed)
    counts = _subjects_by_site(records)
    tested = sorted(site for site, count in counts.items() if count >= config.min_site_subjects)
    if len(tested) < 2:
        sizes = ", ".join(f"{site} {count}" for site, count in sorted(counts.items()))
        raise CohortError(
            "split.leave_one_site_out: expected at least 2 sites with "
            f"{config.min_site_subjects} subjects or more (split.min_site_subjects), got {sizes}"
        )
    folds = {}
    for number, site in enumerate(tested):
        there = {record.subject for record in records if record.site == site}
        others = [subject for subject in subjects if subject not in there]
        if len(others) < _LEFT_BY_TEST:
            raise CohortError(
                f"split.leave_one_site_out: expected at least {_LEFT_BY_TEST} subjects who were "
                f"not scanned at {site}, got {len(others)}"
            )
        fold = _split(records, others, sorted(there), config, seed, fold=number)
        test = tuple(index for index in fold.test if records[index].site == site)
        folds[site] = Split(fold.train, fold.validation, test)
    return folds


def small_sites(records: Sequence[ScanRecord], config: SplitConfig) -> dict[str, int]:
    """Sites that ``make_site_folds`` does not test, with their numbers of subjects."""
    counts = _subjects_by_site(records)
    return {s: n for s, n in sorted(counts.items()) if n < config.min_site_subjects}


def _subjects_by_site(records: Sequence[ScanRecord]) -> dict[str, int]:
    without = [record.subject for record in records if not record.site]
    if without:
        raise CohortError(
            "split.leave_one_site_out: expected a site for every scan, got "
            f"{len(without)} of {len(records)} without, the first of {without[0]}"
        )
    pairs = {(record.site or "", record.subject) for record in records}
    return dict(Counter(site for site, _ in pairs))


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


def _ordered_subjects(records: Sequence[ScanRecord], config: SplitConfig, seed: int) -> list[str]:
    """Subjects by site, age bin, sex and hash; a subject counts with the age of the first scan."""
    ages: dict[str, float] = {}
    sites: dict[str, str] = {}
    sexes: dict[str, str] = {}
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
        sexes[name] = max(record.sex or "", sexes.get(name, ""))
    by_age = sorted(ages, key=lambda name: (ages[name], _hash(seed, "bin", name)))
    bins = {name: rank * config.num_age_bins // len(by_age) for rank, name in enumerate(by_age)}
    ordered = sorted(ages, key=lambda name: _hash(seed, "order", name))
    return _to_and_fro(ordered, [sites, bins, sexes])


def _to_and_fro(names: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names grouped by the first key, within it by the next and so on, every other group reversed.

    Where one group ends, the next begins with what is most like it.
    """
    if not keys:
        return list(names)
    key, *rest = keys
    ordered: list[str] = []
    for number, value in enumerate(sorted({key[name] for name in names})):
        group = _to_and_fro([name for name in names if key[name] == value], rest)
        ordered += reversed(group) if number % 2 else group
    return ordered


def _spread(subjects: Sequence[str], count: int, seed: int, purpose: str) -> list[str]:
    """``count`` subjects, at least one, at even distances from a start that the seed decides."""
    count = max(count, 1)
    start = int.from_bytes(_hash(seed, purpose, "start")[:4], "big") / 2**32
    return [subjects[int((place + start) * len(subjects) / count)] for place in range(count)]


def _hash(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest()
