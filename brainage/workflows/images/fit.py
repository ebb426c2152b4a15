"""One fit of the panel: a network trained on the images of one set by one method."""

import shutil
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainage.bundle.network import build_network
from brainage.config.images import RecipeConfig
from brainage.core.blocks import BlockChain
from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import TaskConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engines import build_engine
from brainage.core.evaluation import Evaluation, evaluate
from brainage.core.objectives import Objective
from brainage.core.placement import ParallelConfig
from brainage.core.random import derive_seed
from brainage.core.ranks import Alone
from brainage.core.tasks import Task, fit_task
from brainage.core.timing import choose_device, describe_device, memory_above_start
from brainage.core.trainer import Trainer, TrainingResult, epoch_seconds
from brainage.core.types import SilentRecorder
from brainage.data.images.registry import Images
from brainage.errors import ConfigError, TrainingError


@dataclass(frozen=True, kw_only=True)
class ImageFit:
    """What became of one fit. Errors are in per cent of the images of a part.

    ``test`` errors are None until the test images are looked at. ``peak_memory_bytes`` is what
    training took above the process with its images, None of a fit that went on from a checkpoint
    and so was not all seen. ``history`` has for each epoch the validation
    error and the training loss. A class without validation images has no error. ``died`` says that
    the fit's process ended without a result, or for lack of memory, and that it is tried again.
    """

    method: str
    candidate: str
    seed: int
    fingerprint: str
    reason: str = ""
    died: bool = False
    validation_error_percent: float | None = None
    test_error_percent: float | None = None
    train_error_percent: float | None = None
    ensemble_error_percent: float | None = None
    error_percent_by_block: dict[str, float] = field(default_factory=dict)
    validation_error_percent_by_class: list[float | None] = field(default_factory=list)
    epoch_seconds: float | None = None
    peak_memory_bytes: int | None = None
    parameters: dict[str, int] = field(default_factory=dict)
    device: str = ""
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return bool(self.reason)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class FitTask:
    """What one fit does, sent to the process that does it.

    ``tests`` says whether test images are looked at when training is over.
    """

    method: str
    candidate: str
    seed: int
    fingerprint: str
    recipe: RecipeConfig
    checkpoints: Path
    tests: bool
    num_threads: int | None

    @property
    def name(self) -> str:
        """For people."""
        tried = "" if self.tests else f", {self.candidate}"
        return f"{self.method}, seed {self.seed}{tried}"

    def discard_checkpoints(self) -> None:
        """Remove what a fit could go on from, once its row is known."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def failure(self, reason: str, *, died: bool = False) -> ImageFit:
        """The row of a fit without a result."""
        return ImageFit(
            method=self.method,
            candidate=self.candidate,
            seed=self.seed,
            fingerprint=self.fingerprint,
            reason=reason,
            died=died,
        )


def fit_images(task: FitTask, images: Images) -> ImageFit:
    """Train, from the latest checkpoint if there is one, and predict.

    Training that breaks down is a result: its row says why.

    Raises:
        BrainageError: if a checkpoint cannot be read or written, or an image cannot be read.
    """
    if task.num_threads is not None:
        torch.set_num_threads(task.num_threads)
    recipe = task.recipe
    device = device_of(recipe)
    engine = build_image_engine(recipe, images, task.seed, device)
    trainer = _trainer(task, engine, images)
    begun_before = task.checkpoints.is_dir() and any(task.checkpoints.iterdir())
    results: list[TrainingResult] = []
    try:
        memory = memory_above_start(device, lambda: results.append(trainer.fit()))
    except TrainingError as error:
        return task.failure(str(error))
    except torch.OutOfMemoryError as error:
        return task.failure(str(error).splitlines()[0], died=True)
    parts = ("validation", "train", "test") if task.tests else ("validation",)
    found = {part: _evaluate(engine, images, part, recipe.trainer.batch_size) for part in parts}
    errors = {part: _errors(evaluation) for part, evaluation in found.items()}
    tested = errors.get("test", {})
    return ImageFit(
        method=task.method,
        candidate=task.candidate,
        seed=task.seed,
        fingerprint=task.fingerprint,
        validation_error_percent=errors["validation"]["last"],
        test_error_percent=tested.get("last"),
        train_error_percent=errors["train"]["last"] if task.tests else None,
        ensemble_error_percent=tested.get("ensemble"),
        error_percent_by_block={k: v for k, v in tested.items() if k.isdigit()},
        validation_error_percent_by_class=_errors_by_class(found["validation"], images.num_classes),
        epoch_seconds=_epoch_seconds(results[0], images.sizes["train"]),
        peak_memory_bytes=None if begun_before else memory,
        parameters=engine.chain.parameter_counts(),
        device=describe_device(device),
        history=_history(results[0]),
    )


def device_of(recipe: RecipeConfig) -> torch.device:
    """The device that a recipe trains on.

    Raises:
        ConfigError: if this machine does not have it.
    """
    try:
        return choose_device(recipe.trainer.device)
    except ValueError as error:
        raise ConfigError(f"recipe.trainer.device: {error}") from error


def build_image_engine(
    recipe: RecipeConfig, images: Images, seed: int, device: torch.device
) -> SingleDeviceEngine:
    """A fresh network for these images, with what trains it.

    Raises:
        ConfigError: if the backbone cannot be cut so, or does not take images of that size.
    """
    chain, objective = build_image_network(recipe, images, seed)
    return build_engine(
        chain,
        objective,
        recipe.optimizer,
        device=device,
        seed=seed,
        config=recipe.engine,
        parallel=ParallelConfig(),
        ranks=Alone(),
    )


def build_image_network(
    recipe: RecipeConfig, images: Images, seed: int
) -> tuple[BlockChain, Objective]:
    """The network alone and its rule; its initial weights depend on the seed.

    Raises:
        ConfigError: if the backbone cannot be cut so, or does not take images of that size.
    """
    task = classes_of(images)
    return build_network(recipe, task, images.input_shape, derive_seed(seed, "images"))


def classes_of(images: Images) -> Task:
    """The task of telling the set's classes apart."""
    settings = TaskConfig(name="classification", num_classes=images.num_classes)
    return fit_task(settings, torch.arange(images.num_classes))


def _trainer(task: FitTask, engine: SingleDeviceEngine, images: Images) -> Trainer:
    recipe = task.recipe
    size, seed = recipe.trainer.batch_size, task.seed
    return Trainer(
        engine,
        images.batches("train", batch_size=size, seed=seed, training=True),
        images.batches("validation", batch_size=size, seed=seed, training=False),
        config=recipe.trainer,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        recorder=SilentRecorder(),
        checkpoints=CheckpointStore(task.checkpoints, f"{task.fingerprint}/{seed}"),
    )


def _evaluate(engine: SingleDeviceEngine, images: Images, part: str, batch_size: int) -> Evaluation:
    return evaluate(engine, images.batches(part, batch_size=batch_size, seed=0, training=False))


def _errors(found: Evaluation) -> dict[str, float]:
    """Wrong images in per cent: of the network, of every block by its number, of all together."""
    errors = {
        str(block + 1): _percent(predictions, found.targets_N)
        for block, predictions in found.predictions_N.items()
    }
    errors["last"] = _percent(found.final, found.targets_N)
    if found.ensemble_N is not None:
        errors["ensemble"] = _percent(found.ensemble_N, found.targets_N)
    return errors


def _errors_by_class(found: Evaluation, num_classes: int) -> list[float | None]:
    """The network's wrong images in per cent of each class; None where there are no images."""
    labels_N = found.targets_N.long()
    images_C = torch.bincount(labels_N, minlength=num_classes).tolist()
    wrong_N = labels_N[found.final != found.targets_N]
    wrong_C = torch.bincount(wrong_N, minlength=num_classes).tolist()
    return [
        round(100 * wrong / images, 3) if images else None
        for wrong, images in zip(wrong_C, images_C, strict=True)
    ]


def _percent(predictions_N: Tensor, targets_N: Tensor) -> float:
    return round(100 * float((predictions_N != targets_N).double().mean()), 4)


def _epoch_seconds(result: TrainingResult, num_images: int) -> float | None:
    """Median over epochs of steps and waiting for data, without validation and checkpoints."""
    seconds = [epoch_seconds(entry, num_images) for entry in result.history]
    known = [each for each in seconds if each is not None]
    return round(statistics.median(known), 3) if known else None


def _history(result: TrainingResult) -> list[dict[str, float]]:
    """What curves need."""
    kept = []
    for entry in result.history:
        values = {"epoch": entry["train/epoch"]}
        for name, value in entry.items():
            if name == "train/loss":
                values[name] = round(value, 5)
            elif name.startswith("val/") and name.endswith("accuracy"):
                values[name] = round(value, 6)
        kept.append(values)
    return kept


def fit_from_json(values: Mapping[str, Any]) -> ImageFit:
    """A row as ``to_json`` gave it.

    Raises:
        TypeError: if keys are missing or unknown.
    """
    return ImageFit(**values)
