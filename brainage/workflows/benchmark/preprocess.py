"""``brainage benchmark preprocess``: seconds of each step, scans per minute, memory."""

import multiprocessing
import os
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from brainage.core.allocator import keep_freed_memory
from brainage.errors import CohortError, ScanError
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import Preprocessor
from brainage.scans.nifti import read_scan
from brainage.scans.source import find_scans

CLOCK = (
    "inside the clock: reading the file and all steps, in processes of one thread; outside: "
    "starting Python, loading libraries and networks (a first scan is not counted), writing results"
)


@dataclass(frozen=True)
class ScanTime:
    """What one scan took: wall seconds of each step, and processor seconds of all; or why not."""

    scan: Path
    seconds: dict[str, float]
    cpu_seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PreprocessSpeed:
    """Result of ``brainage benchmark preprocess``; memory is the highest of one process, in bytes.

    ``step_seconds`` are medians with one process; ``scans_per_minute`` is by number of processes.
    """

    scans: int
    failed: tuple[str, ...]
    step_seconds: dict[str, float]
    seconds_per_scan_median: float
    cpu_seconds_per_scan_median: float
    scans_per_minute: dict[int, float]
    peak_memory_bytes: int
    rounds: int

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan failed."""
        return 1 if self.failed else 0

    @property
    def speedup(self) -> float:
        """Scans per minute of most processes over those of one."""
        return self.scans_per_minute[max(self.scans_per_minute)] / self.scans_per_minute[1]

    def describe(self) -> list[str]:
        """A table for people."""
        total = self.seconds_per_scan_median
        lines = [CLOCK, f"{self.scans} scans, {self.rounds} rounds; medians of one process", ""]
        lines += [
            f"{name:<18} {seconds:>7.2f} s {100 * seconds / total:>5.0f} %"
            for name, seconds in self.step_seconds.items()
        ]
        lines += [
            f"{'a scan':<18} {total:>7.2f} s; {self.cpu_seconds_per_scan_median:.2f} s of a core",
            *(
                f"{f'{jobs} process(es)':<18} {rate:>7.1f} scans a minute"
                for jobs, rate in self.scans_per_minute.items()
            ),
            f"{'ratio':<18} {self.speedup:>7.2f}",
            f"{'peak memory':<18} {self.peak_memory_bytes / 1e9:>7.2f} GB a process",
        ]
        return lines + [f"failed: {reason}" for reason in self.failed]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        rates = {str(jobs): rate for jobs, rate in self.scans_per_minute.items()}
        return {**asdict(self), "scans_per_minute": rates, "speedup": self.speedup, "clock": CLOCK}


def benchmark_preprocess(
    source: Path,
    config: PreprocessConfig,
    *,
    limit: int = 10,
    jobs: int = 2,
    rounds: int = 1,
    report: Callable[[str], None],
) -> PreprocessSpeed:
    """Preprocess scans with one process and with several, in turn, and keep nothing.

    Args:
        source: scans, as for ``brainage preprocess``.
        config: the steps.
        limit: scans taken, spread evenly over the source.
        jobs: number of processes that is compared with one.
        rounds: times that both are measured; rates are medians over them.
        report: told what is being measured.

    Raises:
        CohortError: no scan of the source could be preprocessed.
        ManifestError: the source holds no scan.
    """
    found = [record.scan for record in find_scans(source).records]
    step = max(1, len(found) / limit)
    paths = [found[int(index * step)] for index in range(min(limit, len(found)))]
    single: list[ScanTime] = []
    rates: dict[int, list[float]] = {1: [], jobs: []}
    peaks: list[int] = []
    for number in range(rounds):
        for count, measured in rates.items():
            report(f"round {number + 1} of {rounds}: {len(paths)} scans, {count} process(es)")
            rows, seconds, peak = _measure(paths, config, count)
            single += rows if count == 1 else []
            peaks.append(peak)
            measured.append(60 * len(rows) / seconds)
    good = [row for row in single if not row.reason]
    if not good:
        raise CohortError(f"{source}: no scan could be preprocessed: {single[0].reason}")
    return PreprocessSpeed(
        scans=len(paths),
        failed=tuple(sorted({row.reason for row in single if row.reason})),
        step_seconds={
            name: statistics.median(row.seconds.get(name, 0.0) for row in good)
            for name in good[0].seconds
        },
        seconds_per_scan_median=statistics.median(sum(row.seconds.values()) for row in good),
        cpu_seconds_per_scan_median=statistics.median(row.cpu_seconds for row in good),
        scans_per_minute={count: statistics.median(values) for count, values in rates.items()},
        peak_memory_bytes=max(peaks),
        rounds=rounds,
    )


def _measure(
    paths: Sequence[Path], config: PreprocessConfig, jobs: int
) -> tuple[list[ScanTime], float, int]:
    """Rows of all scans, wall seconds from first to last, and the highest memory of a process."""
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    for _ in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, config, paths[0]), daemon=True)
        process.start()
        theirs.close()
        connections.append(ours)
        processes.append(process)
    try:
        for connection in connections:
            connection.recv()  # warmed up
        start = perf_counter()
        rows = _hand_out(connections, paths)
        seconds = perf_counter() - start
        peak = 0
        for connection in connections:
            connection.send(None)
            peak = max(peak, connection.recv())
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return rows, seconds, peak


def _hand_out(connections: Sequence[Connection], paths: Sequence[Path]) -> list[ScanTime]:
    """Give each process a scan whenever it is free."""
    waiting, rows, busy = deque(paths), [], []
    for connection in connections:
        if waiting:
            connection.send(waiting.popleft())
            busy.append(connection)
    while busy:
        for connection in [ready for ready in wait(busy) if isinstance(ready, Connection)]:
            rows.append(connection.recv())
            if waiting:
                connection.send(waiting.popleft())
            else:
                busy.remove(connection)
    return rows


def _work(connection: Connection, config: PreprocessConfig, warm_up: Path) -> None:
    """Body of a process: time the scans it is sent, then tell its highest memory."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is loaded
    keep_freed_memory()
    preprocessor = Preprocessor(config)
    _time_scan(preprocessor, warm_up)
    connection.send("ready")
    while (path := connection.recv()) is not None:
        connection.send(_time_scan(preprocessor, path))
    import torch  # noqa: PLC0415 - only now, so that it has read the number of threads

    from brainage.core.timing import peak_memory_bytes  # noqa: PLC0415

    connection.send(peak_memory_bytes(torch.device("cpu")))


def _time_scan(preprocessor: Preprocessor, path: Path) -> ScanTime:
    start, cpu_start = perf_counter(), process_time()
    try:
        scan = read_scan(path)
        read_seconds = perf_counter() - start
        result = preprocessor(scan)
    except ScanError as error:
        return ScanTime(path, {}, 0.0, str(error))
    seconds = {"read": read_seconds, **result.seconds}
    return ScanTime(path, seconds, process_time() - cpu_start)
