"""``brainage train``: from scans to a model bundle, a report and an MLflow run."""

from collections.abc import Sequence
from pathlib import Path

import torch

from brainage.bundle.network import build_network, settle_cuts
from brainage.config.candidates import candidate_configs
from brainage.config.load import config_hash, dump_config, flatten, load_config
from brainage.config.run import RunConfig
from brainage.core.allocator import keep_freed_memory
from brainage.core.ranks import Alone
from brainage.core.tasks import fit_task
from brainage.data.sampling import refuse_unknown_groups
from brainage.data.splits import refuse_overlap
from brainage.errors import BrainageError, ConfigError
from brainage.scans.manifest import Manifest, read_manifest
from brainage.workflows.evaluate.leakage import refuse_leaking_split
from brainage.workflows.summary import TrainSummary
from brainage.workflows.train.baselines import refuse_harmonisation
from brainage.workflows.train.cohort import cohort_of_run, with_digests
from brainage.workflows.train.finished_run import FinishedRun
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.plan_fits import PlannedFit, plan_fits, usable_fits
from brainage.workflows.train.ranks import (
    Crew,
    HelpedSummary,
    help_to_train,
    refuse_placement,
    remember_launch,
    restarted_run,
    training_ranks,
)
from brainage.workflows.train.repeats import gather_repeats
from brainage.workflows.train.results import read_unseen, write_results
from brainage.workflows.train.run_fits import SharedRun, run_fits
from brainage.workflows.train.run_folder import RunFolder, begin_or_resume
from brainage.workflows.train.run_record import Clock, RunAudience, open_record


def train_as_rank(
    config: RunConfig, *, runs_folder: Path, resume: Path | None
) -> TrainSummary | HelpedSummary:
    """``train``, on several devices if a launcher started this process as one of several ranks.

    Args:
        config: the run's configuration.
        runs_folder: where the run's own folder is made.
        resume: the folder of an interrupted run of the same configuration.

    Raises:
        BrainageError: as ``train``; a ``RankError`` if another rank is gone.
    """
    with training_ranks(config) as ranks:
        if ranks.rank > 0:
            return help_to_train(ranks)
        crew = Crew(ranks)
        try:
            resume = resume or restarted_run(runs_folder)
            return train(config, runs_folder=runs_folder, resume=resume, crew=crew)
        except BrainageError:
            crew.dismiss()
            raise


def train(
    config: RunConfig, *, runs_folder: Path, resume: Path | None, crew: Crew | None = None
) -> TrainSummary:
    """Train, evaluate and package a model.

    Everything that can be wrong without reading a scan is checked before anything is written.

    Args:
        config: the run's configuration.
        runs_folder: where the run's own folder is made.
        resume: the folder of an interrupted run of the same configuration.
        crew: the ranks that help this one; nobody by default.

    Raises:
        BrainageError: if the input, the configuration or the folder cannot be used.
    """
    crew = crew or Crew(Alone())
    configs = (config, *candidate_configs(config).values())
    for each in configs:
        refuse_placement(each, crew.ranks)
    keep_freed_memory()
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    manifest = read_manifest(
        Path(config.data.manifest), config.data.root_folder(), require_ages=True
    )
    if config.data.unseen is not None:
        unseen = read_unseen(config).records
        refuse_overlap(with_digests(manifest.records), with_digests(unseen))
    planned = plan_fits(manifest.records, config)
    refuse_harmonisation(config, manifest.records, {part.name: part.split for part in planned})
    for each in configs:
        splits = {part.name: part.split for part in planned}
        refuse_unknown_groups(manifest.records, splits, each.data.balance)
    config = _settled(config)
    folder = begin_or_resume(
        runs_folder,
        config.name,
        resume,
        content=dump_config(config),
        same=lambda path: config_hash(load_config(path)) == config_hash(config),
    )
    try:
        remember_launch(folder)
        if resume is not None:
            folder.remember(resumed="yes")
        return _run(config, manifest, planned, folder, crew)
    finally:
        folder.close()


def _run(
    config: RunConfig,
    manifest: Manifest,
    planned: Sequence[PlannedFit],
    folder: RunFolder,
    crew: Crew,
) -> TrainSummary:
    clock = Clock()
    record = open_record(config, folder, None, parent=None)
    status = "failed"
    try:
        record.recorder.parameters(flatten(config))
        with clock.measure("preprocess"):
            cohort = cohort_of_run(config, manifest.records, record.recorder)
        usable = usable_fits(planned, manifest.records, cohort, config)
        refuse_harmonisation(config, cohort.records, {part.name: part.split for part in usable})
        for part in usable:
            for split in (part.split, *part.inner):
                refuse_leaking_split(split, cohort.records, cohort.keys)
        shared = SharedRun(
            config, cohort, usable, {part.name: folder.checkpoints(part.name) for part in usable}
        )
        with clock.measure("train"):
            crew.tell(shared)
            fits = run_fits(shared, crew.ranks, RunAudience(shared, folder, record))
        with clock.measure("evaluate"):
            held_out = gather_repeats(config, cohort, usable, fits)
        run = FinishedRun(config, cohort, usable, fits, held_out, folder, record, clock.seconds)
        summary = write_results(run)
        status = "finished"
    except KeyboardInterrupt:
        status = "killed"
        # The command line tells how to go on, and only the run knows its folder's name.
        raise KeyboardInterrupt(folder.path) from None
    finally:
        record.recorder.close(status)
    return summary


def _settled(config: RunConfig) -> RunConfig:
    """The configuration with its cuts found, kept with the run so that resuming cuts the same.

    Every network is built once before anything is written; what does not fit is refused here.
    """
    device = device_of(config)
    try:
        task = fit_task(config.task, torch.tensor([20.0, 80.0]))
    except ValueError as error:
        raise ConfigError(f"task: {error}") from error
    input_shape = (1, *config.preprocess.grid.shape_XYZ)
    config = settle_cuts(config, input_shape, device)
    for each in (config, *candidate_configs(config).values()):
        build_network(each, task, input_shape, each.seed)
    return config
