"""One fit: a network trained on one part of a cohort and asked about another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from brainage.bundle.network import build_network
from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.checkpoint import CheckpointStore
from brainage.core.complexity import (
    MOST_SAMPLES,
    adaptive_leader_fraction,
    data_complexity,
)
from brainage.core.engines import build_engine, collect_answering_chain
from brainage.core.random import derive_seed
from brainage.core.ranks import Alone, Ranks, device_of_rank, first_of_all, is_launched
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device
from brainage.core.trainer import Evaluation, Trainer, TrainingResult, evaluate
from brainage.core.types import Recorder
from brainage.data.scan_dataset import ScanBatches
from brainage.data.splits import Split
from brainage.errors import CohortError, ConfigError
from brainage.workflows.cohort import Cohort


@dataclass(frozen=True)
class Fit:
    """A trained network and what it says of the scans it did not see.

    ``test_ages_by_block`` maps a block's number, from 1, to predictions (N,) in years for the
    split's test scans; empty when the split has none. ``test_ensemble_ages`` is what all of them
    say together, where there are several.
    """

    chain: BlockChain
    task: Task
    result: TrainingResult
    test_ages_by_block: Mapping[int, npt.NDArray[np.float64]]
    training_mean_age_years: float
    test_ensemble_ages: npt.NDArray[np.float64] | None = None


def fit_split(
    config: RunConfig,
    cohort: Cohort,
    split: Split,
    *,
    name: str,
    checkpoints: Path,
    fingerprint: str,
    recorder: Recorder,
    ranks: Ranks | None = None,
) -> Fit:
    """Train on a split's training scans, watch its validation scans, predict its test scans once.

    Args:
        config: the run's configuration.
        cohort: preprocessed volumes and ages.
        split: indices into the cohort.
        name: which part of the run this is; initial weights and order depend on it.
        checkpoints: folder of this fit's checkpoints.
        fingerprint: of configuration and cohort; other checkpoints are refused.
        recorder: receives metrics of every epoch.
        ranks: the processes that train together, which all call this; one process by default.

    Raises:
        CohortError: if the training ages do not differ.
        ConfigError: if the network does not fit the volumes.
        RankError: if another rank is gone.
    """
    ranks = ranks or Alone()
    seed = derive_seed(config.seed, name)
    training_ages = cohort.ages_years[list(split.train)]
    task = _fit_task(config, training_ages, name)
    settle = partial(_with_leader_fraction, config, cohort, split, name, recorder)
    config = first_of_all(ranks, settle)
    chain, objective = build_network(config, task, cohort.input_shape, seed)
    engine = build_engine(
        chain,
        objective,
        config.optimizer,
        device=device_of(config),
        seed=seed,
        config=config.engine,
        parallel=config.parallel,
        ranks=ranks,
    )
    trainer = Trainer(
        engine,
        _batches(config, cohort, split.train, seed, training=True),
        _batches(config, cohort, split.validation, seed) if split.validation else None,
        config=config.trainer,
        optimizer=config.optimizer,
        schedule=config.schedule,
        recorder=recorder,
        checkpoints=CheckpointStore(checkpoints, f"{fingerprint}/{name}"),
    )
    result = trainer.fit()
    tested = evaluate(engine, _batches(config, cohort, split.test, seed)) if split.test else None
    whole = build_network(config, task, cohort.input_shape, seed)[0]
    chain = collect_answering_chain(engine, whole)
    return _fit(chain, task, result, tested, float(training_ages.mean()))


def _fit_task(config: RunConfig, training_ages: npt.NDArray[np.float32], name: str) -> Task:
    try:
        return fit_task(config.task, torch.from_numpy(training_ages))
    except ValueError as error:
        raise CohortError(f"{name}: {error}") from error


def _fit(
    chain: BlockChain,
    task: Task,
    result: TrainingResult,
    tested: Evaluation | None,
    training_mean_age_years: float,
) -> Fit:
    predicted: dict[int, npt.NDArray[np.float64]] = {}
    ensemble: npt.NDArray[np.float64] | None = None
    if tested is not None:
        predicted = {
            block + 1: ages.double().numpy() for block, ages in tested.predictions_N.items()
        }
        if tested.ensemble_N is not None:
            ensemble = tested.ensemble_N.double().numpy()
    return Fit(chain, task, result, predicted, training_mean_age_years, ensemble)


def _with_leader_fraction(
    config: RunConfig, cohort: Cohort, split: Split, name: str, recorder: Recorder
) -> RunConfig:
    """An adaptive leader fraction becomes that of the training scans' complexity."""
    if not config.objective.adaptive_leader_fraction:
        return config
    volumes = np.stack(list(cohort.volumes.subset(split.train[:MOST_SAMPLES])))[:, None]
    fraction = adaptive_leader_fraction(data_complexity(torch.from_numpy(volumes)))
    recorder.event("leader_fraction", fit=name, leader_fraction=fraction)
    objective = replace(config.objective, leader_fraction=fraction, adaptive_leader_fraction=False)
    return replace(config, objective=objective)


def device_of(config: RunConfig) -> torch.device:
    """The device the configuration names; under a launcher, that of this rank.

    Raises:
        ConfigError: if this machine does not have it.
    """
    try:
        if is_launched():
            return device_of_rank(config.trainer.device)
        return choose_device(config.trainer.device)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _batches(
    config: RunConfig,
    cohort: Cohort,
    chosen: tuple[int, ...],
    seed: int,
    *,
    training: bool = False,
) -> ScanBatches:
    indices, workers = list(chosen), config.data.num_loader_workers
    return ScanBatches(
        cohort.volumes.subset(indices),
        cohort.ages_years[indices],
        batch_size=config.trainer.batch_size,
        seed=seed,
        shuffle=training,
        groups=cohort.groups(indices, config.data) if training else None,
        augmentation=config.augmentation if training and config.augmentation.enabled else None,
        num_loader_workers=workers if training or not cohort.volumes.all_in_memory else 0,
    )
