"""Measurements of trained networks, one file for each: what is there is not trained again."""

import hashlib
import json
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from brainage.config.images import RecipeConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.trainer import Trainer
from brainage.core.types import BatchSource, Recorder
from brainage.data.images.registry import Images
from brainage.errors import RunFolderError, TrainingError
from brainage.tracking.progress import StageProgress
from brainage.workflows.images.processes import Died, in_processes
from brainage.workflows.train.run_folder import write_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyFit:
    """One network that is trained and measured, sent to the process that does it.

    ``kind`` names the measurement and the file, ``content`` is everything else that decides the
    result but the seed and the images.
    """

    kind: str
    seed: int
    recipe: RecipeConfig
    content: Mapping[str, Any]
    num_threads: int | None

    @property
    def name(self) -> str:
        """For people, and of the file."""
        return f"{self.kind}-seed{self.seed}"

    def fingerprint(self, images: str) -> str:
        """Changes with everything that decides the result.

        Args:
            images: a digest of the images.
        """
        text = json.dumps([self.kind, self.seed, self.content, images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


Measure = Callable[[StudyFit, Images], dict[str, Any]]


def measured_fits(
    fits: Sequence[StudyFit], measure: Measure, images: Images, folder: Path, jobs: int
) -> list[dict[str, Any]]:
    """The results of all fits in their order; those that have no file yet are made.

    Training that breaks down is told in the log and leaves no file.

    Args:
        fits: which.
        measure: trains and measures one; of a module, so that a process can find it.
        images: shared by all.
        folder: of the files, made when needed.
        jobs: processes at a time.

    Raises:
        TrainingError: if no fit has a result.
        RunFolderError: if a file cannot be read or written.
    """
    _make(folder)
    digest = images.digest
    found = {fit.name: kept for fit in fits if (kept := _read(folder, fit, digest)) is not None}
    todo = [fit for fit in fits if fit.name not in found]
    reasons = []
    with StageProgress("training", len(fits), "fit", done=len(found)) as progress:
        for fit, answer in in_processes(todo, _guarded, (measure, images), jobs):
            reason = answer.reason if isinstance(answer, Died) else answer.get("reason")
            if isinstance(answer, Died) or reason is not None:
                _log.warning("%s: %s", fit.name, reason)
                reasons.append(f"{fit.name}: {reason}")
            else:
                found[fit.name] = answer
                content = {"fingerprint": fit.fingerprint(digest), "result": answer}
                write_text(folder / f"{fit.name}.json", json.dumps(content) + "\n")
            progress.advance()
    if fits and not found:
        raise TrainingError(f"no fit came to an end: {reasons[0]}")
    return [found[fit.name] for fit in fits if fit.name in found]


def train_watched(
    fit: StudyFit,
    engine: SingleDeviceEngine,
    images: Images,
    *,
    recorder: Recorder,
    wrapped: Callable[[BatchSource], BatchSource] | None = None,
) -> None:
    """Train a fresh engine as ``brainage benchmark images`` does, with someone looking.

    Args:
        fit: its recipe and seed.
        engine: of the recipe.
        images: to train on.
        recorder: hears of every epoch once it is over.
        wrapped: turns the training batches into those that are delivered.

    Raises:
        TrainingError: if a loss is not finite.
    """
    recipe = fit.recipe
    size = recipe.trainer.batch_size
    source = images.batches("train", batch_size=size, seed=fit.seed, training=True)
    Trainer(
        engine,
        source if wrapped is None else wrapped(source),
        images.batches("validation", batch_size=size, seed=fit.seed, training=False),
        config=recipe.trainer,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        recorder=recorder,
    ).fit()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json``.

    Raises:
        RunFolderError: if it cannot be written.
    """
    _make(folder)
    write_text(folder / "result.json", json.dumps(result) + "\n")


def mean_and_sd(values: Sequence[float]) -> dict[str, float | None]:
    """``mean``, and ``sd``: of a sample, None of a single value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "sd": sd}


def _guarded(fit: StudyFit, shared: tuple[Measure, Images]) -> dict[str, Any]:
    """Body of a process: a failed training is an answer, too."""
    measure, images = shared
    try:
        return measure(fit, images)
    except (TrainingError, torch.OutOfMemoryError) as error:
        return {"reason": str(error).splitlines()[0]}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot create it: {error.strerror}") from error


def _read(folder: Path, fit: StudyFit, digest: str) -> dict[str, Any] | None:
    path = folder / f"{fit.name}.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = content["fingerprint"] == fit.fingerprint(digest)
        result: dict[str, Any] = content["result"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path}: damaged; remove it: {error}") from error
    return result if same else None
