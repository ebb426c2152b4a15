"""``brainage compare``: several training rules on the same scans, parts and seeds."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import torch

from brainage.config.compare import BASELINES, CompareConfig
from brainage.config.run import RunConfig
from brainage.core.allocator import keep_freed_memory
from brainage.reporting.comparison import ArmCost
from brainage.scans.manifest import Manifest, read_manifest
from brainage.tracking.progress import StageProgress
from brainage.tracking.recorders import RunRecord
from brainage.workflows.compare.cohort import Part, plan_parts, usable_parts
from brainage.workflows.compare.cost import kept_costs
from brainage.workflows.compare.fit import (
    FitRow,
    RowStore,
    baseline_row,
    fit_arm,
    fit_fingerprint,
)
from brainage.workflows.compare.output import write_comparison
from brainage.workflows.compare.results import Results
from brainage.workflows.compare.setup import open_comparison, settle_arms
from brainage.workflows.compare.summary import CompareSummary
from brainage.workflows.compare.tracking import ChildRun, open_parent, results_of_child
from brainage.workflows.train.baselines import BaselineData, prepare_baselines
from brainage.workflows.train.cohort import Cohort, cohort_of_run
from brainage.workflows.train.plan_fits import PlannedFit
from brainage.workflows.train.run_folder import RunFolder

_log = logging.getLogger(__name__)


def compare(
    config: CompareConfig,
    *,
    runs_folder: Path,
    resume: Path | None,
    report: Callable[[str], None] = _log.info,
) -> CompareSummary:
    """Train every arm with every seed on every part, and say how they differ.

    Everything that can be wrong without reading a scan is checked before anything is written.

    Args:
        config: the comparison's configuration.
        runs_folder: where the comparison's own folder is made.
        resume: the folder of an interrupted comparison of the same configuration.
        report: told what is being measured.

    Raises:
        BrainageError: if the input, the configuration or the folder cannot be used. An arm whose
            training diverges is a row that says so.
    """
    keep_freed_memory()
    if config.run.num_threads is not None:
        torch.set_num_threads(config.run.num_threads)
    data = config.run.data
    manifest = read_manifest(Path(data.manifest), data.root_folder(), require_ages=True)
    planned = plan_parts(config, manifest)
    config = settle_arms(config)
    folder = open_comparison(config, runs_folder, resume)
    try:
        return _Comparing(config, manifest, planned, folder, report).run()
    finally:
        folder.close()


class _Comparing:
    """One comparison under way.

    Args:
        config: settled.
        manifest: of the scans.
        planned: each seed's parts.
        folder: where everything is kept.
        report: told what is being measured.
    """

    def __init__(
        self,
        config: CompareConfig,
        manifest: Manifest,
        planned: dict[int, tuple[PlannedFit, ...]],
        folder: RunFolder,
        report: Callable[[str], None],
    ) -> None:
        self.config = config
        self.manifest = manifest
        self.planned = planned
        self.folder = folder
        self.report = report
        self.store = RowStore(folder.path / "rows")
        self.rows: list[FitRow] = []
        self.baselines: list[FitRow] = []
        self.seconds: dict[str, float] = {}
        self._baseline_data: BaselineData | None = None

    def run(self) -> CompareSummary:
        """Do what is not done yet, and write the results."""
        record = open_parent(self.config, self.folder)
        status = "failed"
        try:
            with self._measured("preprocess"):
                cohort = cohort_of_run(self.config.run, self.manifest.records, record.recorder)
            with self._measured("measure"):
                costs = self._costs(cohort)
            with self._measured("train"):
                for seed in self.config.seeds:
                    self._run_seed(seed, cohort, costs, record)
            results = self._results(cohort, costs)
            summary = write_comparison(results, self.folder, record, self.seconds)
            status = "finished"
        except KeyboardInterrupt:
            status = "killed"
            # The command line tells how to go on, and only this knows the folder's name.
            raise KeyboardInterrupt(self.folder.path) from None
        finally:
            record.recorder.close(status)
        return summary

    def _run_seed(
        self, seed: int, cohort: Cohort, costs: dict[str, ArmCost], record: RunRecord
    ) -> None:
        """All arms on all parts of one seed, arms in turn on each part."""
        arms = self._arms(seed)
        parts = usable_parts(self.planned[seed], self.manifest, cohort, self.config.run)
        children = {
            name: ChildRun(arm, name, self.folder, record.mlflow_run_id)
            for name, arm in arms.items()
        }
        status = "failed"
        try:
            with StageProgress(f"seed {seed}", len(parts) * len(arms), "fit") as progress:
                for part in parts:
                    self._baseline_row(seed, part, cohort)
                    for name, arm in arms.items():
                        self._fit_row(arm, name, part, cohort, children[name])
                        progress.advance()
            results = self._results(cohort, costs)
            for name, child in children.items():
                rows = [row for row in self.rows if row.seed == seed and row.arm == name]
                child.finish(rows, results_of_child(results, rows))
            status = "finished"
        except KeyboardInterrupt:
            status = "killed"
            raise
        finally:
            if status != "finished":
                for child in children.values():
                    child.abandon(status)

    def _fit_row(
        self, arm: RunConfig, name: str, part: Part, cohort: Cohort, child: ChildRun
    ) -> None:
        fingerprint, tested = fit_fingerprint(arm, cohort), part.split.test
        row = self.store.load(name, arm.seed, part.fold, fingerprint, tested)
        if row is None:
            _log.info("training %s, seed %d, %s", name, arm.seed, part.name)
            place = f"{name}-seed{arm.seed}-{part.name}"
            row = fit_arm(
                arm,
                cohort,
                part.split,
                arm=name,
                fold=part.fold,
                part=part.name,
                checkpoints=self.folder.checkpoints(place),
                recorder=child.of_part(part.prefix),
            )
            self.store.keep(row)
            if row.failed:
                _log.warning("%s, seed %d, %s: %s", name, arm.seed, part.name, row.reason)
        self.rows.append(row)

    def _baseline_row(self, seed: int, part: Part, cohort: Cohort) -> None:
        """Other methods on the same part."""
        run = self.config.run
        settings = f"{BASELINES}/{seed}/{run.baselines}/{run.split}"
        fingerprint = cohort.fingerprint(settings)
        row = self.store.load(BASELINES, seed, part.fold, fingerprint, part.split.test)
        if row is None:
            _log.info("baselines, seed %d, %s", seed, part.name)
            if self._baseline_data is None:
                self._baseline_data = prepare_baselines(run, cohort)
            row = baseline_row(
                self._baseline_data,
                part.split,
                seed=seed,
                fold=part.fold,
                fingerprint=fingerprint,
            )
            self.store.keep(row)
        self.baselines.append(row)

    def _costs(self, cohort: Cohort) -> dict[str, ArmCost]:
        """What a step of each arm takes; kept, since another measurement would differ."""
        return kept_costs(
            self.folder.path / "costs.json",
            self._arms(self.config.seeds[0]),
            cohort.input_shape,
            rounds=self.config.speed_rounds,
            report=self.report,
        )

    def _arms(self, seed: int) -> dict[str, RunConfig]:
        return {name: self.config.arm(name, seed) for name in self.config.arms}

    def _results(self, cohort: Cohort, costs: dict[str, ArmCost]) -> Results:
        arms = self._arms(self.config.seeds[0])
        return Results(self.config, arms, cohort, self.rows, self.baselines, costs)

    @contextmanager
    def _measured(self, stage: str) -> Iterator[None]:
        """Wall-clock seconds of a stage of this call."""
        begun = perf_counter()
        yield
        self.seconds[stage] = perf_counter() - begun
