"""The age bias of a model as a line, and ages without it.

A network draws ages towards the mean of its training. On healthy people it did not see, predicted
age over age is close to a line; inverting the line takes the bias away and needs no age.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEAST_SLOPE = 0.2
"""A flatter line is not inverted: it would multiply the noise of a prediction by more than 5."""


@dataclass(frozen=True, kw_only=True)
class AgeLine:
    """Predicted age = slope · age + intercept, by least squares over scans that were not seen.

    Source: Cole et al. 2018, Molecular Psychiatry 23:1385.
    """

    slope: float
    """Years predicted for each year of age; 1 is no bias."""

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
        slope=float(values["slope"]),
        intercept_years=float(values["intercept_years"]),
        n=int(values["n"]),
    )
