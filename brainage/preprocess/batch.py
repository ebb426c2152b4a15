"""Preprocess many scans, in this process or in several, one outcome for each."""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from brainage.core.allocator import keep_freed_memory
from brainage.errors import BrainageError, ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.worker import PreprocessOutcome, ScanTask, preprocess_one, work
from brainage.scans.nifti import read_scan_bytes

_SECONDS_TO_END = 5.0

OnOutcome = Callable[[PreprocessOutcome], None]


def preprocess_scans(
    paths: Sequence[Path],
    config: PreprocessConfig,
    cache_folder: Path,
    *,
    jobs: int = 1,
    on_outcome: OnOutcome | None = None,
    task: ScanTask = preprocess_one,
) -> list[PreprocessOutcome]:
    """Fill the cache with every scan that can be used and say what became of each.

    The tensors do not depend on ``jobs``. Entries are written as they are finished, so an
    interruption (Ctrl-C, kill) costs only the scans under way.

    Args:
        config: the settings.
        cache_folder: see `PreprocessCache`; created when it does not exist.
        paths: the scans; two files with the same name in different folders stay apart, for
            entries are named by content.
        jobs: processes. With one, the scans are done in this process with its torch threads;
            with more, each process has its share of the cores.
        on_outcome: called in this process as each scan is finished, in the order of finishing.
        task: what is done with each scan; it has to fill the cache and may do more.
    Returns:
        Outcomes in the order of ``paths``.
    Raises:
        RunFolderError: the cache folder cannot be written.
        MissingPackage: the configured method needs a package that is not installed.
        ValueError: ``jobs`` is less than 1.
    """
    outcomes: dict[int, PreprocessOutcome] = {}
    for index, outcome in preprocess_each(paths, config, cache_folder, jobs=jobs, task=task):
        outcomes[index] = outcome
        if on_outcome is not None:
            on_outcome(outcome)
    return [outcomes[index] for index in range(len(paths))]


def preprocess_each(
    paths: Sequence[Path],
    config: PreprocessConfig,
    cache_folder: Path,
    *,
    jobs: int = 1,
    task: ScanTask = preprocess_one,
    look_first: bool = True,
) -> Generator[tuple[int, PreprocessOutcome]]:
    """The same, one by one as they are finished; nothing is held on to.

    With several processes, they go on while the caller uses an outcome; closing the generator ends
    them.

    Args:
        paths: as for `preprocess_scans`.
        config: as for `preprocess_scans`.
        cache_folder: as for `preprocess_scans`.
        jobs: as for `preprocess_scans`.
        task: as for `preprocess_scans`.
        look_first: settle what is cached before processes are started, which reads every scan
            once more; not worth it for a cache that is empty.
    Yields:
        Index in ``paths`` and outcome, in the order of finishing.
    Raises:
        RunFolderError: as for `preprocess_scans`.
        MissingPackage: as for `preprocess_scans`.
        ValueError: as for `preprocess_scans`.
    """
    if jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    cache = PreprocessCache(cache_folder, config)
    if jobs == 1:
        keep_freed_memory()  # half of the extraction networks' time
        for index, path in enumerate(paths):
            yield index, task(path, config, cache)
        return
    missing = []
    for index, path in enumerate(paths):
        outcome = _if_cached(path, config, cache, task) if look_first else None
        if outcome is None:
            missing.append((index, path))
        else:
            yield index, outcome
    yield from _in_processes(missing, config, cache_folder, min(jobs, len(missing)), task=task)


def _if_cached(
    path: Path, config: PreprocessConfig, cache: PreprocessCache, task: ScanTask
) -> PreprocessOutcome | None:
    """The outcome when there is nothing to compute: cached, or not readable."""
    try:
        _, sha256 = read_scan_bytes(path)
    except ScanError:
        return task(path, config, cache)
    if not cache.path(cache.key(sha256)).exists():
        return None
    return task(path, config, cache)


@dataclass
class _Worker:
    """A process, the pipe to it, and the scan it has in hand."""

    process: BaseProcess
    connection: Connection
    index: int = -1
    path: Path = Path()
    started: float = 0.0


def _in_processes(
    tasks: Iterable[tuple[int, Path]],
    config: PreprocessConfig,
    cache_folder: Path,
    jobs: int,
    *,
    task: ScanTask,
) -> Iterator[tuple[int, PreprocessOutcome]]:
    """Hand scans to processes one at a time; a process that dies costs the scan it had.

    Not an executor of the standard library: theirs give up the whole pool when a process dies.
    """
    waiting = deque(tasks)
    num_threads = max(1, num_usable_cores() // max(jobs, 1))
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = _start(config, cache_folder, num_threads, task)
                busy.append(worker)
                if not _assign(worker, waiting):
                    waiting.popleft()  # It died before its first scan: `_receive` reports that.
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                index, outcome = worker.index, _receive(worker)
                goes_on = worker.process.is_alive() and waiting and _assign(worker, waiting)
                if not goes_on:
                    busy.remove(worker)
                    _end([worker])
                yield index, outcome
    finally:
        _end(busy)


def _start(
    config: PreprocessConfig, cache_folder: Path, num_threads: int, task: ScanTask
) -> _Worker:
    """A fresh process: forking one that has used torch's or ITK's threads can hang."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work, args=(theirs, config, cache_folder, num_threads, task), daemon=True
    )
    process.start()
    # Only the process holds its end now, so its death shows as the end of the stream.
    theirs.close()
    return _Worker(process, ours)


def _assign(worker: _Worker, waiting: deque[tuple[int, Path]]) -> bool:
    """Send the next scan; False when the process turns out to be gone (nothing is lost)."""
    worker.index, worker.path = waiting[0]
    worker.started = time.perf_counter()
    try:
        worker.connection.send(worker.path)
    except OSError:
        return False
    waiting.popleft()
    return True


def _receive(worker: _Worker) -> PreprocessOutcome:
    """The outcome of the scan in hand, or the row that says that its process died."""
    try:
        answer = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(_SECONDS_TO_END)
        seconds = time.perf_counter() - worker.started
        reason = (
            f"the worker process ended with exit code {worker.process.exitcode} "
            "(-9: killed, often for lack of memory; try fewer jobs)"
        )
        return PreprocessOutcome.failure(worker.path, "", "worker", reason, seconds)
    if isinstance(answer, BrainageError):
        raise answer
    assert isinstance(answer, PreprocessOutcome)
    return answer


def _end(workers: Sequence[_Worker]) -> None:
    """End processes, first politely so that they delete their temporary files."""
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_SECONDS_TO_END)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def num_usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
