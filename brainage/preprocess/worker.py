"""What happens to one scan of a batch, in this process or in a worker process."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from brainage.core.allocator import keep_freed_memory
from brainage.errors import BrainageError, ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import PreprocessedScan, Preprocessor
from brainage.scans.nifti import Scan, parse_scan, read_scan_bytes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreprocessOutcome:
    """What became of one scan of a batch; every scan has exactly one.

    ``key`` names the cache entry (empty when there are no bytes to name it by); ``stage`` and
    ``reason`` are set when ``status`` is ``failed``. Besides the stages of ``ScanError``,
    ``worker`` is a process that died and ``unexpected`` an error that is a bug. ``seconds`` is
    wall time, small when ``cached``.
    """

    scan: Path
    key: str
    status: str
    stage: str | None
    reason: str | None
    cached: bool
    seconds: float
    quality: dict[str, float]

    @classmethod
    def failure(
        cls, path: Path, key: str, stage: str, reason: str, seconds: float
    ) -> "PreprocessOutcome":
        """The row of a scan that cannot be used."""
        return cls(path, key, "failed", stage, reason, False, seconds, {})


# What is done with one scan; sent to other processes, so it has to be picklable.
ScanTask = Callable[[Path, PreprocessConfig, PreprocessCache], PreprocessOutcome]


def preprocess_one(
    path: Path, config: PreprocessConfig, cache: PreprocessCache
) -> PreprocessOutcome:
    """Make sure that the cache holds the scan; never raises because of the scan."""
    start = time.perf_counter()
    key = ""
    try:
        content, sha256 = read_scan_bytes(path)
        key = cache.key(sha256)
        result = cache.load(key)
        cached = result is not None
        if result is None:
            scan = parse_scan(path, content, sha256)
            result = preprocess_with_cache(scan, Preprocessor(config), cache)
    except ScanError as error:
        seconds = time.perf_counter() - start
        return PreprocessOutcome.failure(path, key, error.stage, error.reason, seconds)
    except BrainageError:
        raise  # Not about this scan: a cache that cannot be written, a package that is missing.
    except Exception as error:
        logger.exception("%s: unexpected error", path)
        seconds = time.perf_counter() - start
        reason = f"{type(error).__name__}: {error}"
        return PreprocessOutcome.failure(path, key, "unexpected", reason, seconds)
    seconds = time.perf_counter() - start
    return PreprocessOutcome(path, key, "ok", None, None, cached, seconds, result.quality)


def preprocess_with_cache(
    scan: Scan, preprocessor: Preprocessor, cache: PreprocessCache
) -> PreprocessedScan:
    """The scan's result, from the cache as far as it goes; new results are stored."""
    key = cache.key(scan.sha256)
    result = cache.load(key)
    if result is None:
        found = cache.load_findings(scan)
        if found is None:
            found = preprocessor.find(scan)
            cache.store_findings(*found)
        result = preprocessor.apply(*found)
        cache.store(key, result)
    return result


def work(
    connection: Connection,
    config: PreprocessConfig,
    cache_folder: Path,
    num_threads: int,
    task: ScanTask = preprocess_one,
) -> None:
    """Body of a worker process: receive paths, send outcomes, until the other side hangs up."""
    # Ctrl-C reaches the whole process group; the parent decides. Its SIGTERM unwinds this
    # process, so that temporary files are deleted.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    _hold_threads(num_threads)
    keep_freed_memory()
    cache = PreprocessCache(cache_folder, config)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            # The parent hangs up and then terminates; on the way out there is nothing to unwind.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return
        try:
            connection.send(task(path, config, cache))
        except BrainageError as error:
            connection.send(error)


def _hold_threads(num_threads: int) -> None:
    """Keep torch to its share of the cores; workers that all take all of them wait on each other.

    It reads the variable when it is loaded, at the first scan that is not stripped, unless the task
    that was sent here has loaded it already.
    """
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(num_threads)


def _exit(_signal: int, _frame: object) -> None:
    raise SystemExit(1)
