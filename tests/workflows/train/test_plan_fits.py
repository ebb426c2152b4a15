"""Which fits a run has: nobody is in two parts, and what is tested is in no inner fold."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brainage.errors import CohortError
from brainage.workflows.train.plan_fits import plan_fits
from tests.data.split_records import cohorts, record, subjects_of
from tests.workflows.tiny import tiny_config

SEARCH = {"candidates": {"a": [], "b": ["trainer.epochs=1"]}}
SCHEMES = {
    "holdout": {},
    "folds": {"folds": 3},
    "repeats": {"folds": 3, "repeats": 2},
    "sites": {"leave_one_site_out": True, "min_site_subjects": 4},
    "repeated sites": {"leave_one_site_out": True, "min_site_subjects": 4, "repeats": 2},
}


def config_of(scheme, *, inner=None, **sections):
    split = {**SCHEMES[scheme], "inner_folds": inner}
    search = SEARCH if inner else {}
    return tiny_config(None, split=split, search=search, **sections)


def assert_nobody_is_in_two_parts(records, split):
    train, validation, test = (
        subjects_of(records, part) for part in (split.train, split.validation, split.test)
    )
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(train) >= 2


@given(cohorts(min_subjects=24), st.sampled_from(list(SCHEMES)), st.sampled_from([None, 2, 3]))
def test_nobody_is_in_two_parts_under_any_scheme(records, scheme, inner):
    if "sites" in scheme:
        records = [each for each in records if each.site]
        sizes = Counter({(each.site, each.subject) for each in records})
        by_site = Counter(site for site, _ in sizes)
        assume(sum(size >= 8 for size in by_site.values()) >= 2)
    planned = plan_fits(records, config_of(scheme, inner=inner))
    assert len({part.name for part in planned}) == len(planned)
    for part in planned:
        assert_nobody_is_in_two_parts(records, part.split)
        tested = subjects_of(records, part.split.test)
        assert len(part.inner) == (inner or 0)
        for fold in part.inner:
            assert_nobody_is_in_two_parts(records, fold)
            used = {*fold.train, *fold.validation, *fold.test}
            assert used <= set(part.split.train)
            assert not subjects_of(records, used) & tested
        if part.inner:
            left_out = Counter(index for fold in part.inner for index in fold.test)
            assert set(left_out) == set(part.split.train)
            assert set(left_out.values()) == {1}
            assert not part.split.validation


def people(count):
    return [
        record(f"s{n}", None, 20.0 + n, "ab"[n % 2], sex="FM"[n // 2 % 2]) for n in range(count)
    ]


def test_every_scan_is_tested_once_in_every_repeat():
    planned = plan_fits(people(20), config_of("repeats"))
    for repeat in (0, 1):
        tested = [i for part in planned if part.repeat == repeat for i in part.split.test]
        assert sorted(tested) == list(range(20))
    names = [part.name for part in planned]
    assert names == [f"repeat{r}-fold{f}" for r in (1, 2) for f in (1, 2, 3)] + ["final"]
    parts = [{part.split.test for part in planned if part.repeat == r} for r in (0, 1)]
    assert parts[0] != parts[1], "drawn anew"


def test_the_first_repeat_has_the_folds_of_a_run_without_repeats():
    once = plan_fits(people(20), config_of("folds"))
    twice = plan_fits(people(20), config_of("repeats"))
    assert [part.split for part in once[:3]] == [part.split for part in twice[:3]]
    assert once[-1].split.train == tuple(range(20))
    assert once[-1].split.test == ()


def test_networks_of_folds_that_are_kept_need_no_final_one():
    planned = plan_fits(people(20), config_of("folds", inference={"kept": "folds"}))
    assert [part.name for part in planned] == ["fold1", "fold2", "fold3"]


def test_sites_become_names_of_folders():
    records = [
        *(record(f"x{n}", None, 20.0 + n, "Site A/1") for n in range(6)),
        *(record(f"y{n}", None, 20.0 + n, "Site A_1") for n in range(6)),
        *(record(f"z{n}", None, 20.0 + n, "oslo") for n in range(6)),
    ]
    names = [part.name for part in plan_fits(records, config_of("sites"))]
    assert names == ["site-Site_A_1", "site-Site_A_1-1", "site-oslo", "final"]


def test_too_few_subjects_for_the_inner_folds_are_told_with_the_part():
    with pytest.raises(CohortError, match=r"^split\.inner_folds: fold1: expected at least \d+ sub"):
        plan_fits(people(6), config_of("folds", inner=10))
