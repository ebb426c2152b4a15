"""Ages as people write them in tables: decimal commas, "89+", "n/a", months."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_AGE_YEARS = 120.0

_MISSING = frozenset({"", "n/a", "na", "nan", "null", "none"})
_AGE = re.compile(r"(?P<number>[0-9]+(?:[.,][0-9]+)?)(?P<open>\+?)")
_YEARS_PER_UNIT = {"year": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
_UNIT_SHORT = {"y": "year", "yr": "year", "mo": "month", "wk": "week", "d": "day"}


@dataclass(frozen=True)
class Age:
    """One age cell, read."""

    years: float | None
    """Age in years; none where the cell says that it is missing."""
    note: str | None = None
    """What was lost in reading, e.g. that "89+" became 89."""


def years_per_unit(units: str) -> float:
    """Years in one unit of a BIDS ``Units`` entry: years, months, weeks or days.

    Raises:
        ValueError: if the unit is none of them.
    """
    word = units.strip().lower().removesuffix("s")
    word = _UNIT_SHORT.get(word, word)
    if word not in _YEARS_PER_UNIT:
        raise ValueError(f"age units: expected years, months, weeks or days, got {units!r}")
    return _YEARS_PER_UNIT[word]


def given_age(value: Any) -> float:
    """An age that a program gives as a number, in years.

    Raises:
        ValueError: if it is no number, or none from 0 to 120 years; says what was got.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(
        value, bool
    )
    if not is_number or not 0 <= value <= MAX_AGE_YEARS:
        raise ValueError(f"expected years from 0 to {MAX_AGE_YEARS}, got {value!r:.40}")
    return float(value)


def parse_age(text: str, units: str = "years") -> Age:
    """Read one age cell.

    A decimal comma is a decimal point. "89+", which studies write to protect the oldest, is read
    as 89 with a note. "n/a", "NaN" and an empty cell are a missing age.

    Args:
        text: the cell.
        units: years, months, weeks or days.

    Raises:
        ValueError: for text, a negative age or one above 120 years; says what was got.
    """
    cell = text.strip()
    if cell.lower() in _MISSING:
        return Age(None)
    factor = years_per_unit(units)
    match = _AGE.fullmatch(cell)
    if match is None:
        raise ValueError(f"expected an age in {units} from 0 up, got {text!r}")
    years = float(match["number"].replace(",", ".")) * factor
    if years > MAX_AGE_YEARS:
        raise ValueError(f"expected an age of at most {MAX_AGE_YEARS:g} years, got {text!r}")
    note = f"{cell!r} was read as {match['number']}" if match["open"] else None
    return Age(years, note)
