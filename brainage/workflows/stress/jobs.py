"""Rows of a stress test, made in this process or in several."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from brainage.bundle.load import load_bundle
from brainage.core.allocator import keep_freed_memory
from brainage.errors import RankError
from brainage.preprocess.batch import num_usable_cores
from brainage.stress.config import StressConfig
from brainage.stress.measure import Measured, Reference, StressTest
from brainage.stress.perturbation import Perturbation


class RowMaker:
    """Makes rows in the order of the perturbations; a context manager.

    Args:
        test: the model under test.
        folder: where its bundle lies, for other processes to load.
        jobs: processes; 1 makes the rows in this one.
    """

    def __init__(self, test: StressTest, folder: Path, jobs: int) -> None:
        self._test = test
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            # A fresh process: forking one that has used torch's or ITK's threads can hang.
            self._pool = ProcessPoolExecutor(
                jobs,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(folder, test.config, test.answer, max(1, num_usable_cores() // jobs)),
            )
        keep_freed_memory()

    def rows(
        self, reference: Reference, perturbations: Sequence[Perturbation]
    ) -> Iterator[Measured]:
        """One row for each perturbation.

        Raises:
            RankError: if a process died.
        """
        if self._pool is None:
            for perturbation in perturbations:
                yield self._test.change(reference, perturbation)
            return
        try:
            yield from self._pool.map(partial(_change, reference), perturbations)
        except BrokenProcessPool as error:
            raise RankError(
                "a process of the stress test died, often for lack of memory; try fewer jobs"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_tests: list[StressTest] = []
"""The model under test of a worker process."""


def _start(folder: Path, config: StressConfig, answer: str, num_threads: int) -> None:
    # Ctrl-C reaches the whole process group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(num_threads)
    keep_freed_memory()
    _tests[:] = [StressTest(load_bundle(folder), config, answer)]


def _change(reference: Reference, perturbation: Perturbation) -> Measured:
    return _tests[0].change(reference, perturbation)
