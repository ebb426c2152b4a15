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
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engines import build_engine, collect_answering_chain
from brainage.core.random import derive_seed
from brainage.core.ranks import Alone, Ranks, device_of_rank, first_of_all, is_launched
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device
from brainage.core.trainer import Trainer, TrainingResult
from brainage.core.training_config import TrainerConfig
from brainage.core.types import Recorder
from brainage.data.scan_dataset import ScanBatches
from brainage.data.splits import Split
from brainage.errors import CohortError, ConfigError
from brainage.workflows.train.asking import ask
from brainage.workflows.train.cohort import Cohort


@dataclass(frozen=True)
class Choice:
    """What the inner folds of a nested cross-validation have chosen.

    ``mae_years`` maps each candidate to its error over the scans that the inner folds left out.
    ``stop_after`` is the median of the chosen candidate's best epochs, if it stops early.
    """

    candidate: str
    mae_years: Mapping[str, float]
    stop_after: int | None


@dataclass(frozen=True)
class Fit:
    """A trained network and what it says of the scans it did not see.

    ``test_ages_by_block`` maps a block's number, from 1, to predictions (N,) in years for the
    split's test scans, over all views; empty when the split has none. ``test_ensemble_ages`` is
    what all of them say together, where there are several. ``config`` is what it was trained with,
    ``choice`` how that was chosen, where it was; ``stop_after`` the epochs it was given, where
    those are not all.
    """

    chain: BlockChain
    task: Task
    result: TrainingResult
    test_ages_by_block: Mapping[int, npt.NDArray[np.float64]]
    training_mean_age_years: float
    test_ensemble_ages: npt.NDArray[np.float64] | None
    config: RunConfig
    stop_after: int | None = None
    choice: Choice | None = None

    @property
    def test_answer_years(self) -> npt.NDArray[np.float64]:
        """The network's own answer (N,): that of its last block."""
        return self.test_ages_by_block[max(self.test_ages_by_block)]


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
    stop_after: int | None = None,
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
        stop_after: epochs to train, on the schedule of all of them, instead of stopping early.

    Raises:
        CohortError: if the training ages do not differ, or nothing is left to stop early by.
        ConfigError: if the network does not fit the volumes.
        RankError: if another rank is gone.
    """
    ranks = ranks or Alone()
    seed = derive_seed(config.seed, name)
    training_ages = cohort.ages_years[list(split.train)]
    task = _fit_task(config, training_ages, name)
    asked = config
    trainer_config = _trainer_config(config, split, name, stop_after)
    settle = partial(_with_leader_fraction, config, cohort, split, name, recorder)
    config = first_of_all(ranks, settle)
    engine = _engine(config, task, cohort, seed, ranks)
    trainer = Trainer(
        engine,
        _batches(config, cohort, split.train, seed, training=True),
        _batches(config, cohort, split.validation, seed) if split.validation else None,
        config=trainer_config,
        optimizer=config.optimizer,
        schedule=config.schedule,
        recorder=recorder,
        checkpoints=CheckpointStore(checkpoints, f"{fingerprint}/{name}/{split.digest}"),
        stop_after=stop_after,
    )
    result = trainer.fit()
    by_block, ensemble = (
        ask(engine, _batches(config, cohort, split.test, seed), config.inference)
        if split.test
        else ({}, None)
    )
    whole = build_network(config, task, cohort.input_shape, seed)[0]
    chain = collect_answering_chain(engine, whole)
    mean = float(training_ages.mean())
    return Fit(chain, task, result, by_block, mean, ensemble, asked, stop_after)


def _engine(
    config: RunConfig, task: Task, cohort: Cohort, seed: int, ranks: Ranks
) -> SingleDeviceEngine:
    """This rank's engine, with fresh weights."""
    chain, objective = build_network(config, task, cohort.input_shape, seed)
    return build_engine(
        chain,
        objective,
        config.optimizer,
        device=device_of(config),
        seed=seed,
        config=config.engine,
        parallel=config.parallel,
        ranks=ranks,
    )


def _trainer_config(
    config: RunConfig, split: Split, name: str, stop_after: int | None
) -> TrainerConfig:
    """Early stopping needs scans to validate on, unless the number of epochs is known already."""
    if config.trainer.early_stopping is None:
        return config.trainer
    if stop_after is not None:
        return replace(config.trainer, early_stopping=None)
    if not split.validation:
        raise CohortError(
            f"{name}: trainer.early_stopping needs scans to validate on, and the part has none; "
            "set it to null, or raise split.validation_fraction"
        )
    return config.trainer


def _fit_task(config: RunConfig, training_ages: npt.NDArray[np.float32], name: str) -> Task:
    try:
        return fit_task(config.task, torch.from_numpy(training_ages))
    except ValueError as error:
        raise CohortError(f"{name}: {error}") from error


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
        raise ConfigError(f"trainer.device: {error}") from error


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
