"""From a manifest to preprocessed volumes; what failed is kept as a row."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.config.run import RunConfig
from brainage.core.types import Recorder
from brainage.data.config import DataConfig
from brainage.data.memory import free_memory_bytes
from brainage.data.sampling import describe_groups, sampling_groups
from brainage.data.volumes import CachedVolumes, Volumes
from brainage.errors import CohortError, ScanError
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.worker import PreprocessOutcome
from brainage.reporting.counts import counted, some_of
from brainage.scans.manifest import ScanRecord
from brainage.scans.nifti import read_scan_bytes
from brainage.tracking.progress import StageProgress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cohort:
    """Scans that can be used, in the manifest's order.

    ``volumes`` are N of shape (X, Y, Z), in memory as far as they fit; ``ages_years`` has shape
    (N,); ``input_shape`` is that of one network input without the batch axis, (1, X, Y, Z).
    ``failed`` are the scans that cannot be used; ``cached`` counts those whose preprocessing was
    found done.
    """

    records: tuple[ScanRecord, ...]
    volumes: Volumes
    ages_years: npt.NDArray[np.float32]
    keys: tuple[str, ...]
    failed: tuple[PreprocessOutcome, ...]
    cached: int
    input_shape: tuple[int, ...]

    def groups(self, indices: Sequence[int], config: DataConfig) -> list[str] | None:
        """The groups of the scans at these places, which training samples are balanced over."""
        records = [self.records[index] for index in indices]
        groups = sampling_groups(records, config.balance, config.balance_bin_years)
        if groups is not None:
            _log.info("samples balanced over %s; %s", config.balance, describe_groups(groups))
        return groups

    def fingerprint(self, config_hash: str) -> str:
        """Identifies a configuration on these very volumes, ages and people.

        Subject, sex and site decide who is in which part: with others, a network that is there
        already may have been trained on scans that it would now be tested on.
        """
        ages = [float(age) for age in self.ages_years]
        people = [[record.subject, record.sex, record.site] for record in self.records]
        content = [config_hash, self.keys, ages, people]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def prepare_cohort(
    records: Sequence[ScanRecord],
    config: PreprocessConfig,
    cache_folder: Path,
    *,
    jobs: int,
    recorder: Recorder,
    on_outcome: Callable[[PreprocessOutcome], None],
    memory_gb: float | None = None,
) -> Cohort:
    """Preprocess what is not yet in the cache and load the volumes that fit into memory.

    Args:
        records: scans with ages.
        config: the preprocessing.
        cache_folder: where finished volumes are kept.
        jobs: processes.
        recorder: receives an event for each scan that failed.
        on_outcome: called as each scan is done.
        memory_gb: see ``load_volumes``.

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
    failed = _failed(outcomes, recorder)
    usable = [
        (record, outcome)
        for record, outcome in zip(records, outcomes, strict=True)
        if outcome.status == "ok"
    ]
    if not usable:
        first = failed[0]
        raise CohortError(
            f"none of {counted(len(records), 'scan')} can be used; the first: {first.scan}: "
            f"{first.stage}: {first.reason}"
        )
    return Cohort(
        records=tuple(record for record, _ in usable),
        volumes=load_volumes(
            [outcome.key for _, outcome in usable], config, cache_folder, memory_gb
        ),
        ages_years=np.array([record.age_years for record, _ in usable], dtype=np.float32),
        keys=tuple(outcome.key for _, outcome in usable),
        failed=failed,
        cached=sum(outcome.cached for outcome in outcomes),
        input_shape=(1, *config.grid.shape_XYZ),
    )


def _failed(
    outcomes: Sequence[PreprocessOutcome], recorder: Recorder
) -> tuple[PreprocessOutcome, ...]:
    """Those that failed, each with an event."""
    failed = tuple(outcome for outcome in outcomes if outcome.status == "failed")
    for outcome in failed:
        recorder.event(
            "scan_failed",
            scan=str(outcome.scan),
            stage=outcome.stage,
            reason=outcome.reason,
        )
    return failed


def cohort_of_run(config: RunConfig, records: Sequence[ScanRecord], recorder: Recorder) -> Cohort:
    """A configuration's scans, with a bar that shows how far preprocessing is.

    Raises:
        CohortError: if no scan can be used.
    """
    _log.info("preprocessing %s", counted(len(records), "scan"))
    with StageProgress("preprocessing", len(records), "scan") as progress:
        cohort = prepare_cohort(
            records,
            config.preprocess,
            Path(config.data.cache_dir),
            jobs=config.data.preprocess_jobs,
            recorder=recorder,
            on_outcome=lambda outcome: progress.advance(),  # noqa: ARG005
            memory_gb=config.data.memory_gb,
        )
    ready = counted(len(cohort.records), "scan")
    _log.info("%s ready, of which %d cached", ready, cohort.cached)
    return cohort


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
            "%s another SHA-256 than the manifest says; the first: %s",
            some_of(len(other), len(records), "scan", ("has", "have")),
            other[0],
        )


@dataclass(frozen=True)
class CacheReader:
    """Reads finished volumes from the preprocessing cache, by key."""

    cache: PreprocessCache

    def __call__(self, key: str) -> npt.NDArray[np.float32]:
        """One volume (X, Y, Z).

        Raises:
            CohortError: if it is no longer there, or damaged.
        """
        scan = self.cache.load(key)
        if scan is None:
            raise CohortError(
                f"{self.cache.path(key)}: expected a finished volume, got none or a damaged one; "
                f"go on with --resume, which preprocesses the scan again"
            )
        return scan.volume_XYZ


def load_volumes(
    keys: Sequence[str],
    config: PreprocessConfig,
    cache_folder: Path,
    memory_gb: float | None = None,
) -> Volumes:
    """Finished volumes of the cache: as many as fit are read now, the others when asked for.

    Args:
        keys: of the volumes, in order.
        config: the preprocessing that made them.
        cache_folder: where they are kept.
        memory_gb: what they may take of memory; None is half of what is free, shared by the
            ranks on this machine.

    Raises:
        CohortError: if one is no longer there, now or later.
    """
    if memory_gb is None:
        memory_bytes = free_memory_bytes() / 2 / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    else:
        memory_bytes = memory_gb * 1e9
    read = CacheReader(PreprocessCache(cache_folder, config))
    return CachedVolumes(keys, read, config.grid.shape_XYZ, memory_bytes=memory_bytes)
