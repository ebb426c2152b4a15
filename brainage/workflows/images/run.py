"""``brainage benchmark images``: every method with every seed, resumable, then one table.

Where there is a search, every method first trains with the first seed under each candidate, and
keeps the one with the lowest validation error. Test images are looked at by the fits of the table
alone.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from brainage.config.images import (
    ImagesConfig,
    dump_images_config,
    fit_fingerprint,
    load_images_config,
    same_fits,
)
from brainage.core.rules import RULES
from brainage.data.images.registry import Images, open_images
from brainage.errors import ConfigError
from brainage.reporting.panel_figures import panel_figures
from brainage.reporting.picture_files import write_pngs
from brainage.tracking.progress import StageProgress
from brainage.workflows.images.fit import (
    FitTask,
    ImageFit,
    build_image_network,
    device_of,
    fit_images,
)
from brainage.workflows.images.processes import Died, in_processes
from brainage.workflows.images.rows import RowFile, file_name
from brainage.workflows.images.scale import scale_of
from brainage.workflows.images.summary import PanelSummary, devices_of, method_row, panel_csv
from brainage.workflows.images.tracking import PanelRecord
from brainage.workflows.train.run_folder import RunFolder, begin_or_resume, write_text

_log = logging.getLogger(__name__)


def benchmark_images(
    config: ImagesConfig, *, runs_folder: Path, resume: Path | None, jobs: int = 1
) -> PanelSummary:
    """Train what is not trained yet, and write the table.

    Args:
        config: of the panel.
        runs_folder: where the panel's own folder is made.
        resume: the folder of an interrupted panel of the same configuration.
        jobs: fits at a time, each in a process of its own.

    Raises:
        BrainageError: if images, configuration or folder cannot be used. Training that breaks down
            costs its row only.
    """
    device = device_of(config.recipe)
    images = open_images(config.data, config.augmentation, device)
    for method in config.methods:
        for candidate in config.candidates:
            _refuse_misfit(config, method, candidate, images)
    folder = begin_or_resume(
        runs_folder,
        config.name,
        resume,
        content=dump_images_config(config),
        same=lambda path: same_fits(load_images_config(path), config),
    )
    try:
        if resume is not None:  # what decides no fit may be another now
            write_text(folder.config, dump_images_config(config))
        return _Panel(config, images, folder, jobs).run()
    except KeyboardInterrupt:
        # The command line tells how to go on, and only this knows the folder's name.
        raise KeyboardInterrupt(folder.path) from None
    finally:
        folder.close()


def _refuse_misfit(config: ImagesConfig, method: str, candidate: str, images: Images) -> None:
    """Every network is built once, on no device, before anything is trained."""
    recipe = config.recipe_of(method, candidate)
    if recipe.trainer.device != config.recipe.trainer.device:
        raise ConfigError(
            f"methods.{method}.trainer.device: all methods run on one device; set "
            "recipe.trainer.device instead"
        )
    if recipe.blocks.balance != "stages" and recipe.blocks.cuts is None:
        raise ConfigError(
            f"methods.{method}.blocks.balance: expected 'stages' or blocks.cuts here, so that all "
            f"seeds are cut alike, got '{recipe.blocks.balance}'"
        )
    try:
        build_image_network(recipe, images, config.seeds[0])
    except ConfigError as error:
        raise ConfigError(f"methods.{method}: {error}") from error


class _Panel:
    """One panel under way.

    Args:
        config: of the panel.
        images: split and ready.
        folder: where everything is kept.
        jobs: fits at a time.
    """

    def __init__(self, config: ImagesConfig, images: Images, folder: RunFolder, jobs: int) -> None:
        self._config = config
        self._images = images
        self._digest = images.digest
        self._folder = folder
        self._jobs = jobs
        self._rows = RowFile(folder.path / "rows.jsonl")

    def run(self) -> PanelSummary:
        """Do what is not done yet, and write the results."""
        record = PanelRecord(self._config, self._images, self._folder)
        self._folder.remember(
            note=self._images.note,
            digest=self._digest,
            sizes=self._images.sizes,
            scale=scale_of(self._images, self._config),
        )
        status = "failed"
        try:
            chosen = self._choose()
            tasks = [
                self._task(method, chosen[method], seed, tests=True)
                for seed in self._config.seeds
                for method in self._config.methods
            ]
            fits = self._done(tasks, "training", record)
            summary = self._write(tasks, fits, record)
            status = "finished"
        except KeyboardInterrupt:
            status = "killed"
            raise
        finally:
            record.close(status)
        return summary

    def _choose(self) -> dict[str, str]:
        """The candidate of each method, by validation error."""
        candidates = self._config.candidates
        if len(candidates) == 1:
            return dict.fromkeys(self._config.methods, candidates[0])
        seed = self._config.seeds[0]
        tasks = [
            self._task(method, candidate, seed, tests=False)
            for method in self._config.methods
            for candidate in candidates
        ]
        fits = self._done(tasks, "searching", None)
        chosen = {}
        for method in self._config.methods:
            own = [fit for fit in fits if fit.method == method]
            chosen[method] = min(own, key=_validation_error).candidate
            errors = ", ".join(f"{f.candidate} {_validation_error(f):.2f} %" for f in own)
            _log.info("%s: %s is kept (validation: %s)", method, chosen[method], errors)
        for task in tasks:
            if task.candidate != chosen[task.method]:
                task.discard_checkpoints()
        return chosen

    def _task(self, method: str, candidate: str, seed: int, *, tests: bool) -> FitTask:
        recipe = self._config.recipe_of(method, candidate)
        fingerprint = fit_fingerprint(self._config, recipe, self._digest)
        # With the fingerprint: what another version began with other settings stops no panel.
        place = f"{file_name(method)}-{file_name(candidate)}-seed{seed}-{fingerprint[:8]}"
        return FitTask(
            method=method,
            candidate=candidate,
            seed=seed,
            fingerprint=fingerprint,
            recipe=recipe,
            checkpoints=self._folder.checkpoints(place),
            tests=tests,
            num_threads=self._config.num_threads,
        )

    def _done(
        self, tasks: Sequence[FitTask], label: str, record: PanelRecord | None
    ) -> list[ImageFit]:
        """The rows of all tasks, in their order; those that are not there are made."""
        found = {
            task.name: row
            for task in tasks
            if (
                row := self._rows.find(
                    task.method, task.candidate, task.seed, task.fingerprint, tested=task.tests
                )
            )
        }
        todo = [task for task in tasks if task.name not in found]
        if record is not None:
            # Those that a killed call finished and could not tell of any more.
            for task in tasks:
                if task.name in found:
                    record.fit(task.recipe, found[task.name])
        with StageProgress(label, len(tasks), "fit", done=len(found)) as progress:
            for task, answer in in_processes(todo, fit_images, self._images, self._jobs):
                row = task.failure(answer.reason, died=True) if isinstance(answer, Died) else answer
                self._rows.add(row)
                found[task.name] = row
                if record is not None:
                    record.fit(task.recipe, row)
                if row.failed:
                    _log.warning("%s: %s", task.name, row.reason)
                progress.advance()
        return [found[task.name] for task in tasks]

    def _write(
        self, tasks: Sequence[FitTask], fits: Sequence[ImageFit], record: PanelRecord
    ) -> PanelSummary:
        rows = tuple(
            method_row(method, [fit for fit in fits if fit.method == method])
            for method in self._config.methods
        )
        recipe = self._config.recipe
        summary = PanelSummary(
            run_dir=self._folder.path,
            data=self._config.data.name,
            note=self._images.note,
            scale=scale_of(self._images, self._config),
            sizes=self._images.sizes,
            epochs=recipe.trainer.epochs,
            device=devices_of(fits) or recipe.trainer.device,
            rows=rows,
            fits=tuple(fits),
            mlflow_run_id=record.mlflow_run_id,
        )
        content = summary.to_json() | {"fits": [fit.to_json() for fit in fits]}
        files = {
            "panel.csv": panel_csv(rows),
            "panel.json": json.dumps(content, indent=1) + "\n",
            "panel.txt": "\n".join(summary.describe()) + "\n",
        }
        for name, text in files.items():
            write_text(self._folder.path / name, text)
        phases = {
            task.method: RULES[task.recipe.objective.name].num_phases(task.recipe.blocks.num_blocks)
            for task in tasks
        }
        write_pngs(panel_figures(fits, phases), self._folder.figures)
        record.results([self._folder.path / name for name in files], self._folder.figures)
        for task, fit in zip(tasks, fits, strict=True):
            if not fit.died:
                task.discard_checkpoints()
        return summary


def _validation_error(fit: ImageFit) -> float:
    error = fit.validation_error_percent
    return float("inf") if error is None else error
