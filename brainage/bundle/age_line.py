"""The age bias of a model as a line, and ages without it.

A network draws ages towards the mean of its training. On healthy people it did not see, predicted
age over age is close to a line; inverting the line takes the bias away and needs no age.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.bundle.files import finite
from brainage.errors import CohortError

LEAST_SLOPE = 0.2
"""A flatter line is not inverted: it would multiply the noise of a prediction by more than 5."""
LEAST_SUBJECTS = 20
"""Fewer people, who were not trained on, are too few for a line."""
LEAST_AGE_SD_YEARS = 5.0
"""Where ages vary less, a slope is mostly noise, and only the mean gap is taken out."""


@dataclass(frozen=True, kw_only=True)
class AgeLine:
    """Predicted age = slope · age + intercept, by least squares over scans that were not seen.

    Source: Cole et al. 2018, Molecular Psychiatry 23:1385.
    """

    slope: float
    """Years predicted for each year of age; 1 is no bias, or ages too alike to fit a slope."""

    intercept_years: float

    n: int
    """Scans that the line was fitted on."""

    def corrected(self, predicted_years: float) -> float | None:
        """The age whose prediction lies on the line; None where the line is too flat to invert."""
        if self.slope < LEAST_SLOPE:
            return None
        return (predicted_years - self.intercept_years) / self.slope


def line_from_mapping(values: Mapping[str, Any]) -> AgeLine:
    """The line as ``calibration.json`` has it.

    Raises:
        KeyError: if a number is missing.
        TypeError: if one is no number.
        ValueError: as above.
    """
    return AgeLine(
        slope=finite(values["slope"]),
        intercept_years=finite(values["intercept_years"]),
        n=int(finite(values["n"])),
    )


def fit_age_line(
    age_years: npt.NDArray[np.float64], predicted_age: npt.NDArray[np.float64]
) -> AgeLine:
    """The line of predicted age over age; the mean gap alone where ages are too alike.

    Args:
        age_years: shape (N,); one scan of each subject.
        predicted_age: shape (N,), years; of scans that their network did not see.

    Raises:
        CohortError: if there are fewer than ``LEAST_SUBJECTS``.
    """
    if len(age_years) < LEAST_SUBJECTS:
        raise CohortError(
            f"a line of predicted age over age needs {LEAST_SUBJECTS} people who were not trained "
            f"on, got {len(age_years)}"
        )
    return least_squares(age_years, predicted_age, slope=ages_allow_slope(age_years))


def least_squares(
    age_years: npt.NDArray[np.float64], predicted_age: npt.NDArray[np.float64], *, slope: bool
) -> AgeLine:
    """The line of however few; without a slope of its own, it has slope 1."""
    rise = 1.0
    if slope:
        apart = age_years - age_years.mean()
        rise = float(apart @ predicted_age / (apart @ apart))
    intercept = float(predicted_age.mean() - rise * age_years.mean())
    return AgeLine(slope=rise, intercept_years=intercept, n=len(age_years))


def ages_allow_slope(age_years: npt.NDArray[np.float64]) -> bool:
    """Whether ages (N,) vary enough for a slope."""
    return bool(np.std(age_years) >= LEAST_AGE_SD_YEARS)
