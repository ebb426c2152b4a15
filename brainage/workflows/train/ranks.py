"""One training run on several ranks: rank 0 keeps the run, the others lend it their devices."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainage.config.candidates import candidate_configs
from brainage.config.run import RunConfig
from brainage.core.allocator import keep_freed_memory
from brainage.core.engines import check_parallel, reads_inputs
from brainage.core.ranks import Alone, Ranks, is_launched, join_ranks, leave_ranks
from brainage.data.volumes import ArrayVolumes, Volumes
from brainage.errors import ConfigError
from brainage.workflows.train.audience import Nobody
from brainage.workflows.train.cohort import load_volumes
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.run_fits import SharedRun, run_fits
from brainage.workflows.train.run_folder import RunFolder

_JOB = "TORCHELASTIC_RUN_ID"


@dataclass(frozen=True)
class HelpedSummary:
    """What a rank other than 0 has to say: nothing."""

    exit_code: int = 0

    def describe(self) -> list[str]:
        """No lines."""
        return []

    def to_json(self) -> dict[str, Any]:
        """No numbers."""
        return {}


@contextmanager
def training_ranks(config: RunConfig) -> Iterator[Ranks]:
    """The processes that a launcher started for this run; one process alone without a launcher.

    Raises:
        RankError: if they cannot meet.
    """
    if not is_launched():
        yield Alone()
        return
    ranks = join_ranks(device_of(config), config.parallel.timeout_seconds)
    try:
        yield ranks
    finally:
        leave_ranks()


def refuse_placement(config: RunConfig, ranks: Ranks) -> None:
    """Refuse blocks and devices that do not add up, before anything is written.

    Raises:
        ConfigError: names the setting to change.
    """
    rule, num_blocks = config.objective.name, config.blocks.num_blocks
    try:
        check_parallel(rule, num_blocks, config.parallel, ranks.world_size)
    except ValueError as error:
        raise ConfigError(str(error)) from error


class Crew:
    """The ranks that help rank 0, which either tells them what to train or lets them go."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._waiting = ranks.world_size > 1

    def tell(self, run: SharedRun) -> None:
        """Let the others begin."""
        if self._waiting:
            self._waiting = False
            self.ranks.gather(run.without_volumes(), patient=True)

    def dismiss(self) -> None:
        """Let the others go, unless they are at work."""
        if self._waiting:
            self._waiting = False
            self.ranks.gather(None, patient=True)


def help_to_train(ranks: Ranks) -> HelpedSummary:
    """Train this rank's part of every fit of rank 0's run.

    Raises:
        RankError: if another rank is gone.
    """
    run: SharedRun | None = ranks.gather(None, patient=True)[0]
    if run is None:  # rank 0 has said why
        return HelpedSummary(exit_code=2)
    keep_freed_memory()
    config = run.config
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    cohort = run.cohort
    volumes: Volumes
    if _reads_inputs(config, ranks):
        cache = Path(config.data.cache_dir)
        volumes = load_volumes(cohort.keys, config.preprocess, cache, config.data.memory_gb)
    else:
        volumes = ArrayVolumes(np.empty((len(cohort.keys), 0, 0, 0), dtype=np.float32))
    run_fits(replace(run, cohort=replace(cohort, volumes=volumes)), ranks, Nobody())
    return HelpedSummary()


def _reads_inputs(config: RunConfig, ranks: Ranks) -> bool:
    """Whether this rank needs volumes, for the configured network or for any candidate."""
    return any(
        reads_inputs(each.objective.name, each.blocks.num_blocks, each.parallel, ranks)
        for each in (config, *candidate_configs(config).values())
    )


def remember_launch(folder: RunFolder) -> None:
    """Note which launch this run belongs to, so that a restart of it finds its folder."""
    if (job := os.environ.get(_JOB)) is not None:
        folder.remember(launch=launch_id(job, os.getppid()))


def restarted_run(runs_folder: Path) -> Path | None:
    """The run that this launch had begun before its launcher started it again, if it did."""
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    return launched_run(runs_folder, launch_id(os.environ[_JOB], os.getppid()))


def launched_run(runs_folder: Path, launch: str) -> Path | None:
    """The run that a launch has begun, if it came so far."""
    for facts in runs_folder.glob("*/run.json"):
        with suppress(OSError, ValueError):
            if json.loads(facts.read_text(encoding="utf-8")).get("launch") == launch:
                return facts.parent
    return None


def launch_id(job: str, launcher: int) -> str:
    """Names one call of torchrun or ``--devices``; the same again after a restart.

    Args:
        job: the launcher's name for it, which not every torchrun makes unique.
        launcher: its process id.
    """
    return f"{job}-{launcher}"
