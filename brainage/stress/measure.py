"""One change of one scan through the model's whole chain: preprocessing, network, verdict."""

import logging
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from brainage.bundle.flags import scan_flags
from brainage.bundle.model import ModelBundle
from brainage.errors import BrainageError, ScanError
from brainage.preprocess.contrast import measure_contrast
from brainage.preprocess.pipeline import Preprocessor
from brainage.preprocess.state import ScanState
from brainage.scans.nifti import Scan, read_scan
from brainage.stress.config import StressConfig
from brainage.stress.head import Head
from brainage.stress.perturbation import NotApplicable, Perturbation
from brainage.stress.pictures import Picture, show
from brainage.stress.row import UNTOUCHED, StressRow, judge

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """The untouched scan: its head, its row so far, its age and the flags it has by itself."""

    head: Head
    row: StressRow
    age_years: float
    flags: frozenset[str]


@dataclass(frozen=True)
class Measured:
    """A row, with the picture of the changed scan where it was changed."""

    row: StressRow
    picture: Picture | None = None


@dataclass(frozen=True)
class StressTest:
    """A model under test; one for all scans of a process."""

    bundle: ModelBundle
    config: StressConfig
    answer: str = "last"

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """The model's own preprocessing."""
        return Preprocessor(self.bundle.config.preprocess)

    def reference(self, path: Path, subject: str) -> tuple[Measured, Reference | None]:
        """The row of the untouched scan, and what changes start from; None when it has no age."""
        row = StressRow(
            scan=str(path),
            subject=subject,
            perturbation=UNTOUCHED,
            level="",
            expected="same age",
            verdict="reference",
        )
        begun = time.perf_counter()
        try:
            scan = read_scan(path)
            age_years, flags, found = self._age(scan)
        except BrainageError as error:
            row = _refused(row, error)
            return Measured(row), None
        except Exception as error:
            _log.exception("%s: unexpected error", path)
            row = _refused(row, error)
            return Measured(row), None
        reference = Reference(Head(scan, found), row, age_years, frozenset(flags))
        seconds = time.perf_counter() - begun
        row = replace(row, predicted_age=age_years, delta_years=0.0, flags=flags, seconds=seconds)
        return Measured(row, show(reference.head, scan)), reference

    def change(self, reference: Reference, perturbation: Perturbation) -> Measured:
        """The row of one change; never raises because of the scan."""
        row = replace(
            reference.row,
            perturbation=perturbation.name,
            level=perturbation.level,
            expected=perturbation.expected,
            dose=perturbation.dose,
            budget_years=getattr(self.config.budgets, perturbation.name, None),
            verdict="skipped",
        )
        begun = time.perf_counter()
        picture = None
        try:
            changed = perturbation.change(reference.head)
            picture = show(reference.head, changed)
            row = self._judged(row, reference, changed)
        except NotApplicable as error:
            row = replace(row, reason=str(error))
        except BrainageError as error:
            row = _refused(row, error)
        except Exception as error:
            _log.exception("%s: %s %s: unexpected error", row.scan, row.perturbation, row.level)
            row = _refused(row, error)
        return Measured(replace(row, seconds=time.perf_counter() - begun), picture)

    def _judged(self, row: StressRow, reference: Reference, changed: Scan) -> StressRow:
        age_years, flags, _ = self._age(changed)
        new_flags = tuple(flag for flag in flags if flag not in reference.flags)
        delta_years = age_years - reference.age_years
        return replace(
            row,
            predicted_age=age_years,
            delta_years=delta_years,
            flags=new_flags,
            verdict=judge(row.expected, delta_years, row.budget_years, new_flags),
        )

    def _age(self, scan: Scan) -> tuple[float, tuple[str, ...], ScanState]:
        found, seconds = self.preprocessor.find(scan)
        prepared = self.preprocessor.apply(found, seconds)
        said = self.bundle.predict(prepared.volume_XYZ, self.answer)
        # Those of ``brainage predict``; who the scan is of is no matter here.
        flags = scan_flags(self.bundle, prepared.quality, measure_contrast(prepared), said)
        return said.age_years, flags, found


def _refused(row: StressRow, error: Exception) -> StressRow:
    """The row of a scan without an age.

    Raises:
        BrainageError: if the error is not about the scan, such as a package that is missing.
    """
    if isinstance(error, ScanError):
        return replace(row, verdict="refused", stage=error.stage, reason=error.reason)
    if isinstance(error, BrainageError):
        raise error
    reason = f"{type(error).__name__}: {error}"
    return replace(row, verdict="refused", stage="unexpected", reason=reason)
