"""Reasons to look at a scan before its predicted age is used.

A flag never changes a number and never drops a scan.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from brainage.bundle.answer import AgePrediction
from brainage.bundle.model import ModelBundle
from brainage.preprocess.quality_limits import QualityLimits, load_quality_limits, quality_flags
from brainage.scans.record import ScanRecord
from brainage.workflows.evaluate.leakage import SCAN_HASHES, SUBJECT_HASHES, subject_hash
from brainage.workflows.predict.volumes import VolumeOutcome

_log = logging.getLogger(__name__)

MEANINGS = {
    "contrast_not_t1w": "the tissues are not as bright as in a T1w scan",
    "orientation_guessed": "the file does not state where left and right are",
    "unlike_training": "the scan lies far from those of the training",
    "age_outside_training": "the person is younger or older than all of the training",
    "predicted_age_outside_training": "the predicted age is beyond all of the training's",
    "in_training": "the model was trained on this very scan",
    "subject_in_training": "the model was trained on a subject of this name",
}
"""Flags of this file; those of the quality figures are explained in docs/preprocessing.md."""


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
        """Flags of who the scan is of, which a scan that failed has, too."""
        age = record.age_years
        return _those(
            age_outside_training=age is not None and not self._bundle.in_training_range(age),
            in_training=key.partition("-")[0] in self._scans,
            subject_in_training=subject_hash(record.subject) in self._subjects,
        )

    def of_prediction(
        self, record: ScanRecord, outcome: VolumeOutcome, said: AgePrediction
    ) -> tuple[str, ...]:
        """All flags of a predicted scan."""
        distance, space = said.training_distance, self._bundle.training_space
        own = _those(
            contrast_not_t1w=outcome.contrast is not None and not outcome.contrast.is_t1w,
            orientation_guessed=not outcome.orientation_stated,
            unlike_training=(
                space is not None and distance is not None and space.is_outside(distance)
            ),
            predicted_age_outside_training=not self._bundle.in_training_range(said.age_years),
        )
        return (*figure_flags(outcome.quality), *own, *self.of_identity(record, outcome.key))


def figure_flags(quality: Mapping[str, float]) -> tuple[str, ...]:
    """Flags of the figures that preprocessing leaves by itself.

    Figures that cost another look at the scan, such as ``cjv``, are those of
    ``brainage preprocess``.
    """
    known = load_quality_limits()
    limits = {name: limit for name, limit in known.limits.items() if name in quality}
    return quality_flags(
        quality, QualityLimits(limits, known.rule, known.num_scans, known.identity)
    )


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
    _log.warning("%d of %d scans are worth a look: %s", len(flagged), len(flags), told)


def _those(**found: bool) -> tuple[str, ...]:
    return tuple(name for name, is_so in found.items() if is_so)
