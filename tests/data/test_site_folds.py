"""Leave one site out: every site is tested by who never saw it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brainage.data.split_config import SplitConfig
from brainage.data.splits import make_site_folds, small_sites
from brainage.errors import CohortError
from tests.data.split_records import cohorts, record, subjects_of

CONFIG = SplitConfig(leave_one_site_out=True, min_site_subjects=3)


@given(cohorts(min_subjects=12), st.integers(0, 5))
def test_no_scan_and_no_subject_of_a_tested_site_is_in_another_part(records, seed):
    records = [each for each in records if each.site]
    sizes = {each.site: 0 for each in records}
    for site in sizes:
        sizes[site] = len({each.subject for each in records if each.site == site})
    assume(sum(size >= 3 for size in sizes.values()) >= 2)
    folds = make_site_folds(records, CONFIG, seed)
    assert set(folds) == {site for site, size in sizes.items() if size >= 3}
    for site, split in folds.items():
        known = (*split.train, *split.validation)
        assert {records[i].site for i in split.test} == {site}
        assert len(split.test) == sum(each.site == site for each in records)
        assert site not in {records[i].site for i in known}
        assert not subjects_of(records, split.test) & subjects_of(records, known)
        assert not subjects_of(records, split.train) & subjects_of(records, split.validation)
        assert split.validation
        assert len(subjects_of(records, split.train)) >= 2


def many(site, count):
    return [record(f"{site}{number}", None, 20.0 + number, site) for number in range(count)]


def test_who_was_scanned_at_two_sites_is_in_one_part_of_each_fold():
    twice = [record("both", "1", 30.0, "a"), record("both", "2", 31.0, "b")]
    records = [*many("a", 5), *many("b", 5), *twice]
    folds = make_site_folds(records, CONFIG, 0)
    for site, other in ("ab", "ba"):
        parts = folds[site]
        known = {*parts.train, *parts.validation}
        (tested,) = (i for i in parts.test if records[i].subject == "both")
        assert records[tested].site == site
        assert "both" not in subjects_of(records, known)
        assert len(known) == sum(each.site == other for each in records) - 1


def test_small_sites_train_in_every_fold_and_are_named():
    records = [*many("a", 5), *many("b", 6), *many("c", 2)]
    folds = make_site_folds(records, CONFIG, 0)
    assert list(folds) == ["a", "b"]
    for split in folds.values():
        seen = {records[i].site for i in (*split.train, *split.validation)}
        assert "c" in seen
    assert small_sites(records, CONFIG) == {"c": 2}


def test_too_few_sites_are_refused_with_their_sizes():
    with pytest.raises(CohortError, match=r"at least 2 sites with 3 .* got a 5, b 2"):
        make_site_folds([*many("a", 5), *many("b", 2)], CONFIG, 0)


def test_too_few_others_are_refused():
    shared = [record(f"a{number}", "again", 40.0, "b") for number in range(3)]
    with pytest.raises(CohortError, match="3 subjects who were not scanned at a, got 0"):
        make_site_folds([*many("a", 5), *shared], CONFIG, 0)


def test_a_scan_without_site_is_refused():
    records = [*many("a", 5), *many("b", 5), record("carl")]
    with pytest.raises(CohortError, match="a site for every scan, got 1 of 11 without, the first"):
        make_site_folds(records, CONFIG, 0)
