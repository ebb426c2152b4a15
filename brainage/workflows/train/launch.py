"""``--devices N``: start the same command as N ranks under torch's elastic launcher."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from brainage.config.run import RunConfig
from brainage.core.engines import check_parallel
from brainage.core.local_ranks import LOOPBACK
from brainage.errors import ConfigError, RankError
from brainage.workflows.exit_code import EXIT_CODE_FILE
from brainage.workflows.train.ranks import launch_id, launched_run

_GRACE = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "10"}
"""Seconds that ranks get to end after another one has died, before they are killed."""
_USERS_FAULT = 2
_INTERRUPTED = 130


def launch_training(
    config: RunConfig, arguments: Sequence[str], *, devices: int, runs_folder: Path
) -> int:
    """Run ``brainage`` with these arguments on several ranks of this machine.

    Args:
        config: of the run; says how often to start again when a rank has died.
        arguments: of the command line, without ``--devices``.
        devices: ranks to start: accelerators, or processes on a CPU, which share its cores.
        runs_folder: where the run's own folder is made.

    Returns:
        The exit code of rank 0.

    Raises:
        ConfigError: if the run cannot be spread over so many devices.
        RankError: if a rank died; the message names it and says how to go on.
    """
    rule, num_blocks = config.objective.name, config.blocks.num_blocks
    try:
        check_parallel(rule, num_blocks, config.parallel, devices)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    job = uuid.uuid4().hex
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=job,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=config.parallel.max_restarts,
        monitor_interval=0.5,
        logs_specs=DefaultLogsSpecs(),
    )
    with tempfile.TemporaryDirectory(prefix="brainage-launch-") as folder:
        told = Path(folder) / "exit_code"
        settled = {EXIT_CODE_FILE: str(told), **_GRACE, **_threads(devices), **_loopback()}
        with _environment(settled):
            try:
                elastic_launch(settings, sys.executable)("-m", "brainage", *arguments)
            except ChildFailedError as error:
                begun = launched_run(runs_folder, launch_id(job, os.getpid()))
                return _code_of(list(error.failures.values()), begun, devices)
            except SignalException:
                return _INTERRUPTED
        return int(told.read_text(encoding="ascii")) if told.exists() else 0


def _code_of(failures: Sequence[ProcessFailure], begun: Path | None, devices: int) -> int:
    """The exit code for ranks that failed; those that died without a word are named.

    Raises:
        RankError: if a rank was killed or crashed.
    """
    crashed = [each for each in failures if each.exitcode not in {_USERS_FAULT, _INTERRUPTED}]
    # Ranks that waited for a dead one have failed too, with a line of their own; the launcher then
    # ends the rest with SIGTERM.
    killed = [each for each in crashed if each.exitcode not in {1, -signal.SIGTERM}] or crashed
    if killed:
        story = "; ".join(_obituary(each) for each in killed)
        if begun is not None:
            story += f"; go on with: brainage train --devices {devices} --resume {begun}"
        raise RankError(story)
    return failures[0].exitcode


def _obituary(failure: ProcessFailure) -> str:
    name = f"rank {failure.local_rank} (process {failure.pid})"
    if failure.exitcode < 0:
        reason = f"was killed by {signal.Signals(-failure.exitcode).name}"
        if failure.exitcode == -signal.SIGKILL:
            reason += ": for lack of memory, by hand, or because it had stopped answering"
        return f"{name} {reason}"
    return f"{name} ended with exit code {failure.exitcode}"


def _threads(devices: int) -> dict[str, str]:
    """Each rank's share of the cores, unless somebody has decided already."""
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // devices))}


def _loopback() -> dict[str, str]:
    """Ranks of one machine need no name service."""
    return {} if set(LOOPBACK) & set(os.environ) else LOOPBACK


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
