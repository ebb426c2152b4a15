"""Rows that are written as CSV are read back as they were."""

import csv
import io

import pytest

from brainage.scans.table import csv_line, csv_lines


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\r\n", 'a"b', "a,b", "plain", ""])
def test_every_name_comes_back_as_it_was(name):
    line = csv_line([name, "next"])
    assert next(csv.reader(io.StringIO(line, newline=""))) == [name, "next"]


def test_rows_stay_apart_and_what_is_not_known_is_empty():
    assert csv_lines([["a", None], ["b\r", 1.5]]) == 'a,\n"b\r",1.5\n'
