"""Raw scans to rows, one by one: the path that the command, the library and MLflow share.

With several jobs, scans are preprocessed in processes of their own while this one predicts. A
volume comes back in memory, so no file of one scan can be taken for another's, and it is let go of
once it is predicted.
"""

import logging
import math
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from brainage.bundle.answer import AgePrediction
from brainage.bundle.model import ModelBundle
from brainage.preprocess.batch import preprocess_each
from brainage.preprocess.state import Image
from brainage.preprocess.worker import PreprocessOutcome
from brainage.scans.record import ScanRecord
from brainage.workflows.predict.make_row import RowMaker
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.row import ScanPrediction
from brainage.workflows.predict.volumes import MakeVolume, VolumeOutcome

_log = logging.getLogger(__name__)

Indexed = tuple[int, PreprocessOutcome]


def predict_each(
    records: Sequence[ScanRecord], bundle: ModelBundle, options: PredictOptions
) -> Generator[tuple[int, ScanPrediction]]:
    """Predict scans; a bad one costs its row only.

    Args:
        records: the scans.
        bundle: the model; it is moved to the device.
        options: how.
    Yields:
        Index in ``records`` and row, as they become known.
    Raises:
        BrainageError: if device or cache cannot be used, or the model cannot give the answer.
    """
    bundle.check_answer(options.answer)
    bundle.to(options.place())
    answering = Answering(bundle, options.answer)
    with ExitStack() as stack:
        folder = options.cache_folder
        keep = folder is not None
        if folder is None:  # stays empty
            temporary = tempfile.TemporaryDirectory(prefix="brainage-")
            folder = Path(stack.enter_context(temporary))
        outcomes = preprocess_each(
            [record.scan for record in records],
            bundle.config.preprocess,
            folder,
            jobs=options.jobs,
            task=MakeVolume(keep),
            look_first=keep,
        )
        stack.enter_context(closing(outcomes))
        size = 1 if bundle.device.type == "cpu" else options.batch_size
        for batch in _batches(outcomes, size):
            together = [(records[index], outcome) for index, outcome in batch]
            rows = answering.rows(together)
            yield from zip([index for index, _ in batch], rows, strict=True)


class Answering:
    """Gives preprocessed scans their rows.

    Args:
        bundle: the model, on its device.
        answer: what it is asked for.
    """

    def __init__(self, bundle: ModelBundle, answer: str) -> None:
        self._bundle = bundle
        self._answer = answer
        self._make = RowMaker(bundle, answer)

    def rows(self, scans: Sequence[tuple[ScanRecord, PreprocessOutcome]]) -> list[ScanPrediction]:
        """The rows of scans that are predicted together, in their order."""
        begun = time.perf_counter()
        volumes = [
            outcome.volume_XYZ
            for _, outcome in scans
            if isinstance(outcome, VolumeOutcome) and outcome.volume_XYZ is not None
        ]
        said = iter(self._said(volumes))
        seconds = (time.perf_counter() - begun) / max(1, len(volumes))
        return [self._row(record, outcome, said, seconds) for record, outcome in scans]

    def _row(
        self,
        record: ScanRecord,
        outcome: PreprocessOutcome,
        answers: Iterator[AgePrediction | str],
        seconds: float,
    ) -> ScanPrediction:
        if outcome.status != "ok":
            stage, reason = outcome.stage or "unexpected", outcome.reason or "unknown"
            return self._make.failed(record, outcome, stage, reason)
        assert isinstance(outcome, VolumeOutcome)
        said = next(answers)
        if isinstance(said, str):
            return self._make.failed(record, outcome, "network", said)
        return self._make.predicted(record, outcome, said, seconds)

    def _said(self, volumes: Sequence[Image]) -> list[AgePrediction | str]:
        """What the networks say of each volume, or why they say nothing."""
        if not volumes:
            return []
        try:
            said = self._bundle.predict_together(volumes, self._answer)
        except (RuntimeError, ValueError) as error:
            if len(volumes) > 1:  # memory may do for one by one, and a fault is one volume's
                return [answer for volume in volumes for answer in self._said([volume])]
            _log.exception("the network failed")
            return [f"{type(error).__name__}: {' '.join(str(error).split())}"]
        return [each if math.isfinite(each.age_years) else "no finite age" for each in said]


def _batches(outcomes: Iterable[Indexed], size: int) -> Iterator[list[Indexed]]:
    batch: list[Indexed] = []
    for each in outcomes:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
