"""From a manifest to preprocessed volumes in memory; what failed is kept as a row."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.core.types import Recorder
from brainage.errors import CohortError, ScanError
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.worker import PreprocessOutcome
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan_bytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cohort:
    """Scans that can be used, in the manifest's order.

    ``volumes`` has shape (N, X, Y, Z), ``ages_years`` (N,); ``input_shape`` is that of one network
    input without the batch axis, (1, X, Y, Z). ``failed`` are the scans that cannot be used;
    ``cached`` counts those whose preprocessing was found done.
    """

    records: tuple[ScanRecord, ...]
    volumes: npt.NDArray[np.float32]
    ages_years: npt.NDArray[np.float32]
    keys: tuple[str, ...]
    failed: tuple[PreprocessOutcome, ...]
    cached: int
    input_shape: tuple[int, ...]

    def fingerprint(self, config_hash: str) -> str:
        """Identifies a configuration on these very volumes and ages."""
        content = [config_hash, self.keys, [float(age) for age in self.ages_years]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def prepare_cohort(
    records: Sequence[ScanRecord],
    config: PreprocessConfig,
    cache_folder: Path,
    *,
    jobs: int,
    recorder: Recorder,
    on_outcome: Callable[[PreprocessOutcome], None],
) -> Cohort:
    """Preprocess what is not yet in the cache and load all volumes.

    Args:
        records: scans with ages.
        config: the preprocessing.
        cache_folder: where finished volumes are kept.
        jobs: processes.
        recorder: receives an event for each scan that failed.
        on_outcome: called as each scan is done.

    Raises:
        CohortError: if no scan can be used.
    """
    outcomes = preprocess_scans(
        [record.scan for record in records],
        config,
        cache_folder,
        jobs=jobs,
        on_outcome=on_outcome,
    )
    _warn_of_other_files(records, outcomes)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed:
        recorder.event(
            "scan_failed",
            scan=str(outcome.scan),
            stage=outcome.stage,
            reason=outcome.reason,
        )
    usable = [
        (record, outcome)
        for record, outcome in zip(records, outcomes, strict=True)
        if outcome.status == "ok"
    ]
    if not usable:
        first = failed[0]
        raise CohortError(
            f"none of {len(records)} scans can be used; the first: {first.scan}: "
            f"{first.stage}: {first.reason}"
        )
    return Cohort(
        records=tuple(record for record, _ in usable),
        volumes=load_volumes([outcome.key for _, outcome in usable], config, cache_folder),
        ages_years=np.array([record.age_years for record, _ in usable], dtype=np.float32),
        keys=tuple(outcome.key for _, outcome in usable),
        failed=tuple(failed),
        cached=sum(outcome.cached for outcome in outcomes),
        input_shape=(1, *config.grid.shape_XYZ),
    )


def with_digests(records: Sequence[ScanRecord]) -> list[ScanRecord]:
    """The records, each with the SHA-256 of its file where its table has none."""
    known = []
    for record in records:
        digest = record.sha256
        if digest is None:
            # A file that cannot be read is told of when its turn comes.
            with suppress(ScanError):
                digest = read_scan_bytes(record.scan)[1]
        known.append(replace(record, sha256=digest))
    return known


def _warn_of_other_files(
    records: Sequence[ScanRecord], outcomes: Sequence[PreprocessOutcome]
) -> None:
    """Say so when files are not those the manifest was written for, as re-fetched originals are."""
    # A key begins with the SHA-256 of the bytes that were read; it is empty when none were.
    read = [(record, outcome.key.partition("-")[0])
            for record, outcome in zip(records, outcomes, strict=True) if outcome.key]  # fmt: skip
    other = [
        record.scan
        for record, digest in read
        if record.sha256 is not None and not record.sha256.startswith(digest)
    ]
    if other:
        _log.warning(
            "%d of %d scans have another SHA-256 than the manifest says; the first: %s",
            len(other),
            len(records),
            other[0],
        )


def load_volumes(
    keys: Sequence[str], config: PreprocessConfig, cache_folder: Path
) -> npt.NDArray[np.float32]:
    """Finished volumes (N, X, Y, Z) from the cache.

    Raises:
        CohortError: if one is no longer there.
    """
    cache = PreprocessCache(cache_folder, config)
    volumes = []
    for key in keys:
        scan = cache.load(key)
        if scan is None:
            raise CohortError(f"{cache_folder}: a finished volume has gone; run again")
        volumes.append(scan.volume_XYZ)
    return np.stack(volumes)
