import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.scans.ages import MAX_AGE_YEARS, given_age, parse_age, years_per_unit


@pytest.mark.parametrize(
    ("text", "years"), [("23", 23.0), ("23.5", 23.5), ("23,5", 23.5), (" 0 ", 0.0), ("120", 120.0)]
)
def test_numbers_with_point_or_comma_are_years(text, years):
    assert parse_age(text).years == years
    assert parse_age(text).note is None


@pytest.mark.parametrize("text", ["", "  ", "n/a", "N/A", "NaN", "nan", "null"])
def test_missing_words_are_a_missing_age(text):
    assert parse_age(text).years is None


def test_open_ended_age_is_its_bound_with_a_note():
    age = parse_age("89+")
    assert age.years == 89.0
    assert age.note == "'89+' was read as 89"


@pytest.mark.parametrize(
    "text", ["-1", "abc", "23 years", "1e1", "inf", "120.5", "999", "2,3,4", "١٢", "23-25", "+23"]
)
def test_other_text_is_refused_with_what_was_got(text):
    with pytest.raises(ValueError, match="got") as caught:
        parse_age(text)
    assert repr(text) in str(caught.value)


@given(st.decimals(min_value=0, max_value=120, places=3))
def test_any_age_in_range_survives(age):
    assert parse_age(str(age)).years == float(age)
    assert parse_age(str(age).replace(".", ",")).years == float(age)


@pytest.mark.parametrize(
    ("text", "units", "years"),
    [("18", "months", 1.5), ("731", "days", 731 / 365.25), ("52", "week", 52 * 7 / 365.25)],
)
def test_units_are_converted_to_years(text, units, years):
    assert parse_age(text, units).years == pytest.approx(years, rel=1e-12)


def test_the_upper_bound_is_in_years_whatever_the_unit():
    assert parse_age("1440", "months").years == pytest.approx(MAX_AGE_YEARS)
    with pytest.raises(ValueError, match="at most 120 years, got '1441'"):
        parse_age("1441", "months")


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="got 'hours'"):
        years_per_unit("hours")


@pytest.mark.parametrize("age", [0, 23, 23.5, 120.0, np.float32(7.5), np.int64(120)])
def test_numbers_from_0_to_120_are_ages(age):
    assert given_age(age) == age
    assert type(given_age(age)) is float


@pytest.mark.parametrize(
    "age", [-1, 120.5, 10**400, float("nan"), float("inf"), True, "23", None, [23], np.bool_(1)]
)
def test_anything_else_is_no_age_and_is_told_in_short(age):
    with pytest.raises(ValueError, match=r"^expected years from 0 to 120.0, got .{1,40}$"):
        given_age(age)
