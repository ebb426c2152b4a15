"""The controls that a model is calibrated on: one prediction of each person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.bundle.age_line import LEAST_SUBJECTS
from brainage.bundle.honest_numbers import one_scan_each
from brainage.errors import CohortError
from brainage.reporting.counts import counted
from brainage.scans.record import UNKNOWN, ScanRecord
from brainage.workflows.evaluate.table import PredictedTable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """One scan of each person, drawn by chance where there are several; ages in years, (N,)."""

    age_years: Floats
    predicted_age: Floats
    sites: tuple[str | None, ...]

    left_out: int
    """Further scans of the same people."""

    @property
    def n(self) -> int:
        """People."""
        return len(self.age_years)


def refuse_few_people(records: Sequence[ScanRecord]) -> None:
    """Refuse what cannot be enough, before anything is predicted.

    Raises:
        CohortError: with the number of people.
    """
    _refuse_few(len({record.subject for record in records}), len(records), failed=0)


def choose_controls(table: PredictedTable, seed: int) -> Controls:
    """One usable scan of each person.

    Raises:
        CohortError: if there are too few people, or all have one age.
    """
    subjects = [scan.subject for scan in table.scans]
    all_scans = len(table.scans) + len(table.failed)
    _refuse_few(len(set(subjects)), all_scans, failed=len(table.failed))
    chosen = [table.scans[index] for index in one_scan_each(subjects, seed)]
    return Controls(
        age_years=np.array([scan.age_years for scan in chosen]),
        predicted_age=np.array([scan.predicted_age for scan in chosen]),
        sites=tuple(scan.site for scan in chosen),
        left_out=len(table.scans) - len(chosen),
    )


def named_site(given: str | None, records: Sequence[ScanRecord]) -> str:
    """The site as the user names it, or else as the table does."""
    named = " ".join((given or "").split())
    return named or ", ".join(sorted({record.site or UNKNOWN for record in records}))


def _refuse_few(subjects: int, scans: int, failed: int) -> None:
    if subjects < LEAST_SUBJECTS:
        lost = f", {failed} of which could not be used" if failed else ""
        raise CohortError(
            f"calibrating needs {LEAST_SUBJECTS} people, got {subjects} "
            f"({counted(scans, 'scan')}{lost}); with fewer, chance would decide what is corrected"
        )
