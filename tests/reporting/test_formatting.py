import pytest

from brainage.reporting.estimates import Estimate
from brainage.reporting.formatting import MINUS, NOTHING, decimals, duration, gibibytes, interval


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, NOTHING), (-1.256, f"{MINUS}1.26"), (-0.001, "0.00"), (3.0, "3.00")],
)
def test_numbers(value, text):
    assert decimals(value) == text


def test_an_interval_is_two_numbers_or_nothing():
    assert interval(Estimate(1.0, -0.5, 2.25)) == f"{MINUS}0.50 to 2.25"
    assert interval(Estimate(1.0)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, NOTHING),
        (0.0432, "43.2 ms"),
        (4.25, "4.25 s"),
        (59.96, "60 s"),
        (119.6, "2 min 0 s"),
        (512.0, "8 min 32 s"),
        (7260.0, "2 h 1 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_memory():
    assert gibibytes(1610612736) == "1.50 GiB"
    assert gibibytes(None) == NOTHING
