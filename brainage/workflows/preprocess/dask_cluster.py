"""Scans as tasks of a Dask cluster; cache and derivatives lie on a folder that all machines see.

Needs the optional package ``distributed``.
"""

import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brainage.derivatives.task import MakeDerivatives
from brainage.errors import BrainageError, ClusterError, MissingPackage
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import preprocessing_hash
from brainage.preprocess.worker import PreprocessOutcome, ScanTask

CONNECT_SECONDS = 30
SCANS_PER_WORKER = 2

_ADDRESS = re.compile(r"://|:[0-9]+$")

# ITK and torch have their threads of their own; a worker with several threads takes turns.
_ONE_AT_A_TIME = threading.Lock()


def preprocess_on_dask(
    paths: Sequence[Path],
    config: PreprocessConfig,
    cache_folder: Path,
    *,
    on_outcome: Callable[[PreprocessOutcome], None],
    task: MakeDerivatives,
    address: str,
) -> None:
    """Do scans on the workers of a cluster, with a row for each.

    Twice as many scans are handed out as the cluster has workers at the time, which may come and
    go. A scan whose worker dies goes to another one; a scan whose workers die time and again
    (``distributed.scheduler.allowed-failures``) is given up, and that is its row.

    Args:
        paths: the scans, as the workers see them.
        config: the settings.
        cache_folder: on a folder that this machine and all workers share.
        on_outcome: called in this process as each scan is finished.
        task: what is done with each scan.
        address: of the scheduler, e.g. ``tcp://node1:8786``, or a scheduler file.

    Raises:
        ClusterError: if the scheduler cannot be reached, has no workers, or they have another
            version of this program or do not see the cache folder.
        MissingPackage: if ``distributed`` is not installed.
    """
    if not paths:
        return
    with _connected(address) as client:
        _check_workers(client, config, (cache_folder, task.out))
        from distributed import as_completed  # noqa: PLC0415

        waiting = deque(paths)
        under_way: dict[Any, Path] = {}
        futures = as_completed(loop=client.loop)

        def hand_out() -> None:
            while waiting and len(under_way) < SCANS_PER_WORKER * _num_workers(client):
                path = waiting.popleft()
                future = client.submit(_do, path, config, cache_folder, task.only(path), pure=False)
                under_way[future] = path
                futures.add(future)

        hand_out()
        for future in futures:
            on_outcome(_outcome(future, under_way.pop(future)))
            hand_out()


def _num_workers(client: Any) -> int:
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def _do(
    path: Path, config: PreprocessConfig, cache_folder: Path, task: ScanTask
) -> PreprocessOutcome | BrainageError:
    """One scan, on a worker; errors that are not the scan's come back as they are."""
    with _ONE_AT_A_TIME:
        try:
            return task(path, config, PreprocessCache(cache_folder, config))
        except BrainageError as error:
            return error


def _outcome(future: Any, path: Path) -> PreprocessOutcome:
    from distributed import KilledWorker  # noqa: PLC0415

    try:
        answer = future.result()
    except KilledWorker as error:
        reason = (
            "every worker that was given this scan died, often for lack of memory; "
            f"the last was {error.last_worker.address}"
        )
        return PreprocessOutcome.failure(path, "", "worker", reason, 0.0)
    except Exception as error:
        reason = f"the task failed on the cluster: {type(error).__name__}: {error}"
        return PreprocessOutcome.failure(path, "", "worker", " ".join(reason.split()), 0.0)
    if isinstance(answer, BrainageError):
        raise answer
    assert isinstance(answer, PreprocessOutcome)
    return answer


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError as error:
        raise MissingPackage("distributed", "--dask", "dask") from error
    where = _where(address)
    try:
        client = Client(**where, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(f"{address}: cannot reach a Dask scheduler: {reason}") from error
    with client:
        yield client


def _where(address: str) -> dict[str, str]:
    """Distributed's name for what was given: an address, or a file that may still be on its way."""
    if _ADDRESS.search(address):
        return {"address": address}
    until = time.monotonic() + CONNECT_SECONDS
    while not Path(address).is_file():
        if time.monotonic() > until:
            raise ClusterError(
                f"{address}: cannot reach a Dask scheduler: expected its address, e.g. "
                f"tcp://node1:8786, or its scheduler file; found no such file in {CONNECT_SECONDS} "
                "s"
            )
        time.sleep(0.2)
    return {"scheduler_file": address}


def _check_workers(client: Any, config: PreprocessConfig, folders: Sequence[Path]) -> None:
    """Refuse a cluster that would make something else, or make it where nobody finds it."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask scheduler has no workers after {CONNECT_SECONDS} s; start some"
        ) from error
    tokens = [folder / f".seen-{uuid.uuid4().hex}" for folder in folders]
    try:
        for token in tokens:
            token.touch()
        answers = client.run(_what_a_worker_has, config, tokens)
    except Exception as error:
        raise ClusterError(
            "a Dask worker cannot run brainage (is the same version installed there?): "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)
    expected = preprocessing_hash(config)
    for worker, (found, unseen) in answers.items():
        if found != expected:
            raise ClusterError(
                f"Dask worker {worker} would preprocess differently: expected {expected}, got "
                f"{found}; install the same version of brainage and nilearn there"
            )
        if unseen:
            raise ClusterError(
                f"Dask worker {worker} does not see {unseen[0]}; give --cache and --out on a "
                "folder that all machines share"
            )


def _what_a_worker_has(config: PreprocessConfig, tokens: Sequence[Path]) -> tuple[str, list[Path]]:
    """The worker's preprocessing, and the folders among ours that it does not see."""
    return preprocessing_hash(config), [token.parent for token in tokens if not token.exists()]
