from collections import Counter
from pathlib import Path

import pytest

from brainage.data.sampling import (
    describe_groups,
    draw_balanced,
    occurrences,
    refuse_unknown_groups,
    sampling_groups,
)
from brainage.data.splits import Split
from brainage.errors import CohortError
from brainage.scans.record import ScanRecord

GROUPS = ["a"] * 80 + ["b"] * 16 + ["c"] * 4


def record(age_years=40.0, sex=None, site=None):
    return ScanRecord(scan=Path("/scan.nii"), subject="s", age_years=age_years, sex=sex, site=site)


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("none", None),
        ("age", ["5 to 10 years", "10 to 15 years", "70 to 75 years"]),
        ("site", ["here", "unknown", "there"]),
        ("sex", ["F", "M", "unknown"]),
        (
            "age_and_site",
            ["5 to 10 years at here", "10 to 15 years at unknown", "70 to 75 years at there"],
        ),
    ],
)
def test_groups_are_named_by_what_is_balanced_over(balance, expected):
    records = [record(9.9, "F", "here"), record(10.0, "M"), record(71.0, None, "there")]
    assert sampling_groups(records, balance, 5.0) == expected


def test_the_width_of_age_bins_is_a_setting():
    assert sampling_groups([record(7.5)], "age", 2.5) == ["7.5 to 10 years"]


def test_every_group_comes_as_often_as_any_other_and_its_members_alike():
    counts = Counter()
    for epoch in range(400):
        counts.update(draw_balanced(GROUPS, seed=3, epoch=epoch))
    groups = Counter()
    for index, count in counts.items():
        groups[GROUPS[index]] += count
    # of 40,000 draws; three standard deviations are 283 and, for a member of c, 168
    assert sum(groups.values()) == 400 * 100
    assert all(count == pytest.approx(40_000 / 3, abs=400) for count in groups.values())
    assert all(counts[index] == pytest.approx(40_000 / 12, abs=250) for index in range(96, 100))


def test_only_seed_and_epoch_decide_what_is_drawn():
    drawn = draw_balanced(GROUPS, seed=3, epoch=5)
    assert len(drawn) == len(GROUPS)
    assert drawn == draw_balanced(GROUPS, seed=3, epoch=5)
    assert drawn != draw_balanced(GROUPS, seed=3, epoch=6)
    assert drawn != draw_balanced(GROUPS, seed=4, epoch=5)


def test_occurrences_count_what_has_come_before():
    assert occurrences([2, 0, 2, 2, 1, 0]) == [0, 0, 1, 2, 0, 1]


def test_groups_are_described_by_their_sizes():
    assert describe_groups(GROUPS) == "groups: 3, of 4 (c) to 80 scans (a)"


@pytest.mark.parametrize(
    ("balance", "column"), [("site", "site"), ("sex", "sex"), ("age_and_site", "site")]
)
def test_what_no_training_scan_has_cannot_be_balanced_over(balance, column):
    records = [record(), record(), record(sex="F", site="here")]
    with pytest.raises(CohortError, match=rf"^data\.balance: .*'{column}' .* of fold2 .* of 2 "):
        refuse_unknown_groups(
            records, {"fold1": Split((0, 2), (), (1,)), "fold2": Split((0, 1), (), (2,))}, balance
        )
    refuse_unknown_groups(records, {"fold1": Split((0, 2), (), (1,))}, balance)
    refuse_unknown_groups(records, {"fold1": Split((0, 1), (), (2,))}, "age")
