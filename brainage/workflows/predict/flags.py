"""Reasons to look at a scan before its predicted age is used.

A flag never changes a number and never drops a scan.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from brainage.bundle.answer import AgePrediction
from brainage.bundle.files import SCAN_HASHES, SUBJECT_HASHES
from brainage.bundle.flags import scan_flags
from brainage.bundle.model import ModelBundle
from brainage.reporting.counts import some_of
from brainage.scans.record import ScanRecord
from brainage.workflows.evaluate.leakage import subject_hash
from brainage.workflows.predict.volumes import VolumeOutcome

_log = logging.getLogger(__name__)


class Flagging:
    """Finds the flags of a scan; one for each model, which it reads once.

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle
        self._scans = frozenset(bundle.calibration.get(SCAN_HASHES, ()))
        self._subjects = frozenset(bundle.calibration.get(SUBJECT_HASHES, ()))

    def of_identity(self, record: ScanRecord, key: str) -> tuple[str, ...]:
        """Flags of who the scan is of, which a scan that failed has, too.

        They are ``age_outside_training``: the person is younger or older than all of the training;
        ``in_training``: the model was trained on this very scan; and ``subject_in_training``: it
        was trained on a subject of this name.
        """
        age = record.age_years
        found = {
            "age_outside_training": age is not None and not self._bundle.in_training_range(age),
            "in_training": key.partition("-")[0] in self._scans,
            "subject_in_training": subject_hash(record.subject) in self._subjects,
        }
        return tuple(name for name, is_so in found.items() if is_so)

    def of_prediction(
        self, record: ScanRecord, outcome: VolumeOutcome, said: AgePrediction
    ) -> tuple[str, ...]:
        """All flags of a predicted scan."""
        of_scan = scan_flags(
            self._bundle,
            outcome.quality,
            outcome.contrast,
            said,
            orientation_stated=outcome.orientation_stated,
        )
        return (*of_scan, *self.of_identity(record, outcome.key))


def tell_flags(flags: Sequence[Sequence[str]]) -> None:
    """Warn once about all rows of a table.

    Args:
        flags: of each row.
    """
    flagged = [row for row in flags if row]
    if not flagged:
        return
    counts = Counter(name for row in flagged for name in row)
    told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    _log.warning(
        "%s worth a look: %s", some_of(len(flagged), len(flags), "scan", ("is", "are")), told
    )
