"""Nouns and verbs that go with a number."""

import pytest

from brainage.reporting.counts import counted, some_of


@pytest.mark.parametrize(("count", "text"), [(0, "0 scans"), (1, "1 scan"), (2, "2 scans")])
def test_one_of_a_thing_is_no_plural(count, text):
    assert counted(count, "scan") == text


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [(1, 1, "1 of 1 row is"), (1, 2, "1 of 2 rows is"), (2, 2, "2 of 2 rows are")],
)
def test_noun_and_verb_go_with_their_own_numbers(count, total, text):
    assert some_of(count, total, "row", ("is", "are")) == text
