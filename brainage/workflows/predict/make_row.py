"""From what is known about a scan to its row."""

from brainage.bundle.answer import AgePrediction
from brainage.bundle.model import ModelBundle
from brainage.preprocess.worker import PreprocessOutcome
from brainage.scans.record import ScanRecord
from brainage.workflows.predict.flags import Flagging
from brainage.workflows.predict.row import ScanPrediction
from brainage.workflows.predict.volumes import VolumeOutcome


def predictor_name(bundle: ModelBundle, answer: str) -> str:
    """What names the source of a prediction: the model, and the answer unless it is the last's."""
    return bundle.model_hash if answer == "last" else f"{bundle.model_hash}+{answer}"


class RowMaker:
    """Makes the rows of one model's answers.

    Args:
        bundle: the model.
        answer: what it is asked for.
    """

    def __init__(self, bundle: ModelBundle, answer: str) -> None:
        self._bundle = bundle
        self._name = predictor_name(bundle, answer)
        self._is_last = answer == "last"
        self._flagging = Flagging(bundle)

    def failed(
        self, record: ScanRecord, outcome: PreprocessOutcome, stage: str, reason: str
    ) -> ScanPrediction:
        """The row of a scan without a prediction."""
        return ScanPrediction(
            scan=str(record.scan),
            subject=record.subject,
            session=record.session,
            status="failed",
            stage=stage,
            reason=reason,
            qc_flags=self._flagging.of_identity(record, outcome.key),
            age_years=record.age_years,
            age_in_training_range=self._in_range(record.age_years),
            model_hash=self._name,
            preprocessing_hash=self._bundle.preprocessing_hash,
            seconds=outcome.seconds,
            scan_sha256=_digest(outcome.key),
        )

    def predicted(
        self, record: ScanRecord, outcome: VolumeOutcome, said: AgePrediction, seconds: float
    ) -> ScanPrediction:
        """The row of a predicted scan; ``seconds`` are the network's.

        Line and intervals are those of the last block's answers, and of no others.
        """
        age, predicted = record.age_years, said.age_years
        line = self._bundle.age_line if self._is_last else None
        intervals = self._bundle.intervals if self._is_last else None
        corrected = None if line is None else line.corrected(predicted)
        interval = None if intervals is None else intervals.of(predicted)
        return ScanPrediction(
            scan=str(record.scan),
            subject=record.subject,
            session=record.session,
            status="ok",
            qc_flags=self._flagging.of_prediction(record, outcome, said),
            age_years=age,
            predicted_age=predicted,
            predicted_age_corrected=corrected,
            brain_age_gap=_gap(predicted, age),
            brain_age_gap_corrected=_gap(corrected, age),
            interval_low=None if interval is None else interval.low_years,
            interval_high=None if interval is None else interval.high_years,
            coverage=None if interval is None else interval.coverage,
            age_in_training_range=self._in_range(age),
            model_hash=self._name,
            preprocessing_hash=self._bundle.preprocessing_hash,
            seconds=outcome.seconds + seconds,
            spread_workers=said.spread_workers,
            spread_blocks=said.spread_blocks,
            spread_networks=said.spread_networks,
            spread_views=said.spread_views,
            training_distance=said.training_distance,
            scan_sha256=_digest(outcome.key),
        )

    def _in_range(self, age_years: float | None) -> bool | None:
        return None if age_years is None else self._bundle.in_training_range(age_years)


def _gap(predicted: float | None, age: float | None) -> float | None:
    return None if predicted is None or age is None else predicted - age


def _digest(key: str) -> str | None:
    """The part of a cache key that names the scan's bytes."""
    return key.partition("-")[0] or None
