"""All fits of a run, one after the other; every rank runs the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brainage.config.candidates import candidate_configs, without_search
from brainage.config.load import config_hash
from brainage.config.run import RunConfig
from brainage.core.ranks import Ranks
from brainage.core.types import Recorder
from brainage.data.volumes import ArrayVolumes
from brainage.tracking.fanout import FanoutRecorder
from brainage.workflows.train.audience import Audience
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.epochs import median_epoch
from brainage.workflows.train.fitting import Choice, Fit, fit_split
from brainage.workflows.train.inner_search import Search
from brainage.workflows.train.plan_fits import PlannedFit


@dataclass(frozen=True)
class SharedRun:
    """What rank 0 tells the others: everything that decides the training but the volumes.

    ``checkpoints``: folder of each part's checkpoints; all ranks have to see the same disk.
    """

    config: RunConfig
    cohort: Cohort
    planned: tuple[PlannedFit, ...]
    checkpoints: dict[str, Path]

    def without_volumes(self) -> "SharedRun":
        """What travels: the volumes are read from the cache by who needs them."""
        empty = ArrayVolumes(np.empty((0, 0, 0, 0), dtype=np.float32))
        return replace(self, cohort=replace(self.cohort, volumes=empty))


def run_fits(run: SharedRun, ranks: Ranks, audience: Audience) -> dict[str, Fit]:
    """Train every part, in order, each from its checkpoint if there is one.

    Args:
        run: what is trained.
        ranks: the processes that train together, which all call this.
        audience: who hears of it.

    Raises:
        BrainageError: as ``fit_split``.
    """
    search = Search(candidate_configs(run.config), run.cohort, ranks, audience)
    fits: dict[str, Fit] = {}
    for part in run.planned:
        with audience.of_part(part) as recorder:
            fits[part.name] = _fit_part(run, part, fits, search, recorder)
    return fits


def _fit_part(
    run: SharedRun,
    part: PlannedFit,
    before: Mapping[str, Fit],
    search: Search,
    recorder: Recorder,
) -> Fit:
    config, stop_after = without_search(run.config), None
    choice: Choice | None = None
    if part.inner:
        choice = search.choose(part, run.checkpoints[part.name], recorder)
        config, stop_after = search.candidates[choice.candidate], choice.stop_after
    elif not part.split.validation and config.trainer.early_stopping is not None:
        stop_after = median_epoch(fit.result.best_epoch for fit in before.values())
    epochs = config.total_epochs if stop_after is None else stop_after
    with search.audience.of_fit(part.name, len(part.split.train), epochs) as listener:
        fit = fit_split(
            config,
            run.cohort,
            part.split,
            name=part.name,
            checkpoints=run.checkpoints[part.name],
            fingerprint=run.cohort.fingerprint(config_hash(config)),
            recorder=FanoutRecorder([recorder, listener]),
            ranks=search.ranks,
            stop_after=stop_after,
        )
    return replace(fit, choice=choice)
