"""``brainage train``: from scans to a model bundle, a report and an MLflow run."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from brainage.bundle.network import build_network, settle_cuts
from brainage.config.load import config_hash, dump_config, flatten, load_config
from brainage.config.run import RunConfig
from brainage.core.allocator import keep_freed_memory
from brainage.core.ranks import Alone
from brainage.core.tasks import fit_task
from brainage.core.types import Recorder
from brainage.data.sampling import refuse_unknown_groups
from brainage.data.splits import Split, make_folds, make_split, refuse_overlap
from brainage.errors import BrainageError, CohortError, ConfigError
from brainage.scans.manifest import Manifest, read_manifest
from brainage.tracking.fanout import FanoutRecorder
from brainage.tracking.progress import EpochProgress, StageProgress
from brainage.tracking.recorders import RunRecord, open_recorders
from brainage.workflows.cohort import Cohort, prepare_cohort, with_digests
from brainage.workflows.fitting import Fit, device_of, fit_split
from brainage.workflows.held_out import gather
from brainage.workflows.results import FinishedRun, read_unseen, write_results
from brainage.workflows.run_facts import report_dataset, report_datasets, tags_of_run
from brainage.workflows.run_folder import (
    RunFolder,
    create_run_folder,
    open_run_folder,
    write_text,
)
from brainage.workflows.summary import TrainSummary
from brainage.workflows.train_ranks import (
    Crew,
    HelpedSummary,
    SharedRun,
    help_to_train,
    refuse_placement,
    remember_launch,
    restarted_run,
    training_ranks,
)

_log = logging.getLogger(__name__)


@dataclass
class Clock:
    """Wall-clock seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the body's time to a stage."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


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
    refuse_placement(config, crew.ranks)
    keep_freed_memory()
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    manifest = read_manifest(
        Path(config.data.manifest), config.data.root_folder(), require_ages=True
    )
    if config.data.unseen is not None:
        unseen = read_unseen(config).records
        refuse_overlap(with_digests(manifest.records), with_digests(unseen))
    splits = _make_splits(config, manifest)
    refuse_unknown_groups(manifest.records, splits, config.data.balance)
    config = _settled(config)
    folder = _open_folder(config, runs_folder, resume)
    try:
        remember_launch(folder)
        return _run(config, manifest, splits, folder, crew)
    finally:
        folder.close()


def _run(
    config: RunConfig,
    manifest: Manifest,
    splits: dict[str, Split],
    folder: RunFolder,
    crew: Crew,
) -> TrainSummary:
    clock = Clock()
    record = _open_record(config, folder, None, parent=None)
    status = "failed"
    try:
        record.recorder.parameters(flatten(config))
        with clock.measure("preprocess"):
            cohort = _prepare(config, manifest, record.recorder)
        usable = {
            name: _without_failed(name, split, manifest, cohort) for name, split in splits.items()
        }
        with clock.measure("train"):
            fits = _fit_all(config, cohort, usable, folder, record, crew=crew)
        with clock.measure("evaluate"):
            held_out = gather(config, cohort, usable, fits)
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


def _make_splits(config: RunConfig, manifest: Manifest) -> dict[str, Split]:
    """The run's parts by name, as indices into the manifest.

    One split is ``holdout``. With folds, every scan is tested by the fold that left it out, and
    ``final`` is the model that is kept: it is trained on everyone, and its error is estimated by
    the folds.
    """
    records = manifest.records
    if config.split.folds is None:
        return {"holdout": make_split(records, config.split, config.seed)}
    folds = make_folds(records, config.split, config.seed)
    splits = {f"fold{index + 1}": fold for index, fold in enumerate(folds)}
    return {**splits, "final": Split(tuple(range(len(records))), (), ())}


def _settled(config: RunConfig) -> RunConfig:
    """The configuration with its cuts found, kept with the run so that resuming cuts the same.

    The network is built once before anything is written; what does not fit is refused here.
    """
    device = device_of(config)
    try:
        task = fit_task(config.task, torch.tensor([20.0, 80.0]))
    except ValueError as error:
        raise ConfigError(f"task: {error}") from error
    input_shape = (1, *config.preprocess.grid.shape_XYZ)
    config = settle_cuts(config, input_shape, device)
    build_network(config, task, input_shape, config.seed)
    return config


def _open_folder(config: RunConfig, runs_folder: Path, resume: Path | None) -> RunFolder:
    if resume is None:
        folder = create_run_folder(runs_folder, config.name)
        write_text(folder.config, dump_config(config))
        return folder
    folder = open_run_folder(resume)
    if config_hash(load_config(folder.config)) != config_hash(config):
        folder.close()
        raise ConfigError(
            f"{folder.config}: the run to resume has another configuration; resume it with its "
            f"own, without --config and --set"
        )
    return folder


def _open_record(
    config: RunConfig, folder: RunFolder, part: str | None, parent: str | None
) -> RunRecord:
    """Recorders of the run, or of one of its parts, continued when the run is resumed."""
    name = folder.path.name if part is None else f"{folder.path.name}-{part}"
    key = f"mlflow_run_id_{part}" if part else "mlflow_run_id"
    events = folder.events_of(part)
    events.parent.mkdir(parents=True, exist_ok=True)
    record = open_recorders(
        config.tracking,
        events.parent,
        run_name=name,
        tags=tags_of_run(config, part),
        working_folder=Path.cwd(),
        mlflow_run_id=folder.recall().get(key),
        parent_run_id=parent,
    )
    folder.remember(**{key: record.mlflow_run_id})
    return record


def _prepare(config: RunConfig, manifest: Manifest, recorder: Recorder) -> Cohort:
    records = manifest.records
    _log.info("preprocessing %d scans", len(records))
    with StageProgress("preprocessing", len(records), "scan") as progress:
        cohort = prepare_cohort(
            records,
            config.preprocess,
            Path(config.data.cache_dir),
            jobs=config.data.preprocess_jobs,
            recorder=recorder,
            on_outcome=lambda outcome: progress.advance(),  # noqa: ARG005
            memory_gb=config.data.memory_gb,
        )
    _log.info("%d scans ready, %d were cached", len(cohort.records), cohort.cached)
    return cohort


def _without_failed(name: str, split: Split, manifest: Manifest, cohort: Cohort) -> Split:
    """The split over the scans that can be used: a bad scan never moves another one."""
    position = {record.scan: index for index, record in enumerate(cohort.records)}

    def keep(indices: tuple[int, ...]) -> tuple[int, ...]:
        scans = (manifest.records[index].scan for index in indices)
        return tuple(position[scan] for scan in scans if scan in position)

    usable = Split(keep(split.train), keep(split.validation), keep(split.test))
    if not usable.train or (split.test and not usable.test):
        part = "train" if not usable.train else "test"
        raise CohortError(
            f"{name}: no scan is left to {part} after {len(cohort.failed)} of "
            f"{len(manifest.records)} scans could not be used"
        )
    return usable


def _fit_all(
    config: RunConfig,
    cohort: Cohort,
    splits: dict[str, Split],
    folder: RunFolder,
    record: RunRecord,
    *,
    crew: Crew,
) -> dict[str, Fit]:
    """Fit every part of the run; where there are several, each has a record of its own."""
    fingerprint = cohort.fingerprint(config_hash(config))
    places = {name: folder.checkpoints(name) for name in splits}
    crew.tell(SharedRun(config, cohort, splits, places, fingerprint))
    fits = {}
    if len(splits) > 1:
        everyone = range(len(cohort.records))
        report_dataset(record.recorder, config, cohort, everyone, context="cross-validation")
    for name, split in splits.items():
        only = len(splits) == 1
        part = record if only else _open_record(config, folder, name, record.mlflow_run_id)
        progress = EpochProgress(config.total_epochs)
        report_datasets(part.recorder, config, cohort, split)
        _log.info("training %s on %d scans", name, len(split.train))
        try:
            fits[name] = fit_split(
                config,
                cohort,
                split,
                name=name,
                checkpoints=places[name],
                fingerprint=fingerprint,
                recorder=FanoutRecorder([part.recorder, progress]),
                ranks=crew.ranks,
            )
        finally:
            progress.close("finished")
            if not only:
                part.recorder.close("finished" if name in fits else "failed")
    return fits
