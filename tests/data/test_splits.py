import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.data.split_config import SplitConfig
from brainage.data.splits import make_folds, make_split, refuse_overlap
from brainage.errors import CohortError
from brainage.scans.manifest import read_manifest
from tests.data.split_records import cohorts, record, subjects_of

SAMPLE = Path(__file__).parents[2] / "data_manifests" / "open_t1w"


def assert_parts_are_whole_and_apart(records, split):
    parts = (split.train, split.validation, split.test)
    assert sorted(index for part in parts for index in part) == list(range(len(records)))
    train, validation, test = (subjects_of(records, part) for part in parts)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(train) >= 2
    assert validation
    assert test


@given(cohorts(min_subjects=4), st.integers(0, 5), st.sampled_from([0.05, 0.2, 0.5, 0.7]))
def test_no_subject_is_in_two_parts_of_a_split(records, seed, test_fraction):
    config = SplitConfig(test_fraction=test_fraction, validation_fraction=0.25)
    assert_parts_are_whole_and_apart(records, make_split(records, config, seed))


@given(cohorts(), st.integers(0, 5), st.integers(2, 6))
def test_folds_test_every_subject_once(records, seed, folds):
    splits = make_folds(records, SplitConfig(folds=folds), seed)
    assert len(splits) == folds
    for split in splits:
        assert_parts_are_whole_and_apart(records, split)
    tested = Counter(subject for s in splits for subject in subjects_of(records, s.test))
    assert set(tested.values()) == {1}


@given(cohorts(), st.integers(0, 5), st.randoms())
def test_the_order_of_the_records_does_not_matter(records, seed, shuffler):
    shuffled = list(records)
    shuffler.shuffle(shuffled)
    for config, make in (
        (SplitConfig(), lambda *args: [make_split(*args)]),
        (SplitConfig(folds=3), make_folds),
    ):
        for one, other in zip(
            make(records, config, seed), make(shuffled, config, seed), strict=True
        ):
            for part in ("train", "validation", "test"):
                assert subjects_of(records, getattr(one, part)) == subjects_of(
                    shuffled, getattr(other, part)
                )


def test_the_seed_decides():
    records = [record(f"s{number}", None, 20 + number) for number in range(30)]
    config = SplitConfig()
    assert make_split(records, config, 1) == make_split(records, config, 1)
    assert len({make_split(records, config, seed).test for seed in range(10)}) > 5


@given(st.integers(0, 20))
def test_folds_share_sites_ages_and_sexes(seed):
    generator = random.Random(seed)
    records = [
        record(
            f"s{number}", None, generator.uniform(5, 80), generator.choice("aab"),
            sex=generator.choice("FFM"),
        )
        for number in range(60)
    ]  # fmt: skip
    splits = make_folds(records, SplitConfig(folds=5, num_age_bins=3), seed)
    by_age = sorted(records, key=lambda r: r.age_years)
    bins = [{r.subject for r in by_age[start : start + 20]} for start in (0, 20, 40)]
    sites = [{r.subject for r in records if r.site == site} for site in "ab"]
    sexes = [{r.subject for r in records if r.sex == sex} for sex in "FM"]
    strata = [*sites, *(site & aged for site in sites for aged in bins)]
    strata += [site & aged & sex for site in sites for aged in bins for sex in sexes]
    for stratum in strata:
        counts = [len(stratum & subjects_of(records, split.test)) for split in splits]
        assert max(counts) - min(counts) <= 1


def test_sexes_are_shared_over_all_strata_together():
    """Strata that each lack one sex make up for one another."""
    spreads = []
    for seed in range(40):
        generator = random.Random(seed)
        records = [
            record(
                f"s{number}", None, generator.uniform(5, 80), generator.choice("abcd"),
                sex=generator.choice("FM"),
            )
            for number in range(100)
        ]  # fmt: skip
        splits = make_folds(records, SplitConfig(folds=5), seed)
        women = [sum(records[index].sex == "F" for index in split.test) for split in splits]
        spreads.append(max(women) - min(women))
    # measured: 3.4; 5.4 with the sexes always in one order, 6.0 without them
    assert sum(spreads) / len(spreads) < 4.4


def test_the_sample_is_split_over_all_sites_and_ages():
    records = read_manifest(SAMPLE / "manifest.csv", require_ages=True).records
    split = make_split(records, SplitConfig(), 0)
    sizes = [len(part) for part in (split.train, split.validation, split.test)]
    assert sizes == [30, 7, 9]
    for part in (split.validation, split.test):
        assert len({records[index].site for index in part}) == 3
        ages = [records[index].age_years for index in part]
        assert min(ages) < 13
        assert max(ages) > 35


def test_scans_without_age_are_refused():
    records = [record(f"s{number}") for number in range(9)] + [record("bert", None, None)]
    with pytest.raises(CohortError, match="got 1 of 10 without, the first of bert"):
        make_split(records, SplitConfig(), 0)


def test_too_few_subjects_for_a_split_are_refused():
    records = [record("anna", str(session)) for session in range(9)]
    with pytest.raises(CohortError, match=r"at least 4 subjects .* got 1 in 9 scans"):
        make_split(records, SplitConfig(), 0)


@pytest.mark.parametrize(("folds", "needed"), [(2, 6), (3, 5), (4, 4), (5, 5), (10, 10)])
def test_fewer_subjects_than_the_folds_need_are_refused(folds, needed):
    config = SplitConfig(folds=folds)
    records = [record(f"s{number}") for number in range(needed)]
    assert len(make_folds(records, config, 0)) == folds
    with pytest.raises(CohortError, match=f"at least {needed} subjects for {folds} folds, got"):
        make_folds(records[1:], config, 0)


def test_unseen_scans_are_kept_apart_by_subject_and_content():
    records = [record("anna", sha256="a" * 64), record("bert")]
    refuse_overlap(records, [record("cleo"), record("dora", sha256="b" * 64)])
    with pytest.raises(CohortError, match="got bert in both"):
        refuse_overlap(records, [record("bert", "again")])
    with pytest.raises(CohortError, match="got eve in both"):
        refuse_overlap(records, [record("eve", sha256="a" * 64)])
