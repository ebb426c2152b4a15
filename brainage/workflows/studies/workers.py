"""The worker study: trains what is not trained yet, and gathers the numbers of all figures.

For every seed one network is trained for figures S1, S2 and table S10, and for figure S4 one with
the leaders of its own and, as a control, one that all workers lead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from brainage.config.images import RecipeConfig
from brainage.config.studies import ActivityConfig, WorkerStudyConfig
from brainage.config.validation import to_plain
from brainage.core.engine import SingleDeviceEngine
from brainage.core.timing import describe_device
from brainage.core.types import SilentRecorder
from brainage.data.images.registry import Images, open_images
from brainage.workflows.images.fit import build_image_engine, device_of
from brainage.workflows.studies.activity import SERIES, ActivityProbe, WatchedBatches
from brainage.workflows.studies.best_leaders import EVALUATION_BATCH, LeaderWatch, scores_of
from brainage.workflows.studies.diversity import output_diversity
from brainage.workflows.studies.fits import (
    StudyFit,
    mean_and_sd,
    measured_fits,
    train_watched,
    write_result,
)
from brainage.workflows.studies.inference import inference_accuracies
from brainage.workflows.studies.roles import mean_leaders
from brainage.workflows.studies.vicsek import simulated_flock

LEADERS, CONTROL = "activity", "activity-control"


def run_worker_study(config: WorkerStudyConfig, folder: Path, *, jobs: int = 1) -> dict[str, Any]:
    """Train what is not trained yet, measure it, and write ``result.json``.

    A fit has a file of its own in ``folder``; one that is there, of the same settings and images,
    is not repeated.

    Args:
        config: of the study.
        folder: made when needed.
        jobs: fits at a time, each in a process of its own.

    Returns:
        Plain values: ``fits`` (one a seed: ``epochs``, ``inference``, ``diversity``), ``activity``
        and ``activity_control`` (one a seed), ``vicsek``, ``summary``, and what was trained.

    Raises:
        BrainageError: if images or folder cannot be used, or no fit comes to an end.
    """
    device = device_of(config.recipe)
    images = open_images(config.data, config.augmentation, device)
    fits = measured_fits(_fits(config, "workers"), measure_workers, images, folder, jobs)
    watched = {
        kind: measured_fits(_fits(config, kind), measure_activity, images, folder, jobs)
        for kind in _activity_kinds(config)
    }
    result = {
        "study": "workers",
        "data": config.data.name,
        "note": images.note,
        "original": images.original,
        "sizes": images.sizes,
        "device": describe_device(device),
        "config": to_plain(config),
        "fits": fits,
        "activity": watched.get(LEADERS, []),
        "activity_control": watched.get(CONTROL, []),
        "vicsek": simulated_flock(config.vicsek),
    }
    result["summary"] = summarised(result)
    write_result(folder, result)
    return result


def measure_workers(fit: StudyFit, images: Images) -> dict[str, Any]:
    """Train one network and measure its best leaders, its inference and its diversity.

    Raises:
        TrainingError: if a loss is not finite.
    """
    engine = _engine(fit, images)
    content, recipe = fit.content, fit.recipe
    watch = LeaderWatch(engine, images, every=content["evaluate_every"], last=recipe.trainer.epochs)
    train_watched(fit, engine, images, recorder=watch)
    fraction = recipe.objective.leader_fraction
    leaders = mean_leaders(scores_of(engine, images, "train"), fraction)
    test = images.batches("test", batch_size=EVALUATION_BATCH, seed=0, training=False)
    return {
        "seed": fit.seed,
        "leader_fraction": fraction,
        "epochs": watch.rows,
        "leaders": {f"block {k + 1}": mask.nonzero()[:, 0].tolist() for k, mask in leaders.items()},
        "inference": inference_accuracies(
            engine,
            test,
            leaders,
            leader_fraction=fraction,
            draws=content["random_draws"],
            seed=fit.seed,
        ),
        "diversity": output_diversity(engine, test, leaders, fraction),
    }


def measure_activity(fit: StudyFit, images: Images) -> dict[str, Any]:
    """Train one network and record what steps do to its workers.

    Raises:
        TrainingError: if a loss is not finite.
    """
    engine = _engine(fit, images)
    recipe = fit.recipe
    settings = ActivityConfig(**fit.content["activity"])
    size = recipe.trainer.batch_size
    per_epoch = len(images.batches("train", batch_size=size, seed=0, training=True).batch_sizes)
    probe = ActivityProbe(
        engine,
        settings,
        recipe.objective.selection,
        num_steps=per_epoch * recipe.trainer.epochs,
        lines=fit.content["lines"],
    )
    train_watched(
        fit,
        engine,
        images,
        recorder=SilentRecorder(),
        wrapped=lambda source: WatchedBatches(source, probe),
    )
    return {
        "seed": fit.seed,
        "leader_fraction": recipe.objective.leader_fraction,
        "roles_fraction": settings.leader_fraction,
        "windows": probe.results(),
    }


def summarised(result: Mapping[str, Any]) -> dict[str, Any]:
    """Means and standard deviations over seeds of the last epoch, inference, diversity, activity.

    Args:
        result: of the study, without its summary.
    """
    fits: Sequence[Mapping[str, Any]] = result["fits"]
    layers = {}
    for place, layer in enumerate(fits[0]["epochs"][-1]["layers"]):
        own = [fit["epochs"][-1]["layers"][place] for fit in fits]
        layers[layer["name"]] = _over_seeds(
            [{key: each[key] for key in ("accuracy_percent", "loss")} for each in own]
        )
    return {
        "last_epoch": layers,
        "inference": _over_seeds([fit["inference"] for fit in fits]),
        "diversity": _over_seeds([fit["diversity"] for fit in fits]),
        "activity": _over_seeds([_mean_activity(fit) for fit in result["activity"]]),
        "activity_control": _over_seeds(
            [_mean_activity(fit) for fit in result["activity_control"]]
        ),
    }


def _activity_kinds(config: WorkerStudyConfig) -> list[str]:
    if config.activity is None:
        return []
    return [LEADERS, CONTROL] if config.activity.control else [LEADERS]


def _fits(config: WorkerStudyConfig, kind: str) -> list[StudyFit]:
    """The fits of one kind, one a seed; the workers of the first seed are recorded line by line."""
    fits = []
    for seed in config.seeds:
        recipe = config.recipe
        content: dict[str, Any] = {
            "augmentation": to_plain(config.augmentation),
            "data": {k: v for k, v in to_plain(config.data).items() if k != "num_loader_workers"},
        }
        if kind == "workers":
            content["evaluate_every"] = config.evaluate_every
            content["random_draws"] = config.random_draws
        else:
            assert config.activity is not None
            fraction = 1.0 if kind == CONTROL else config.activity.leader_fraction
            recipe = _led_by(recipe, fraction)
            content["activity"] = to_plain(config.activity)
            content["lines"] = seed == config.seeds[0]
        content["recipe"] = to_plain(recipe)
        fits.append(
            StudyFit(
                kind=kind,
                seed=seed,
                recipe=recipe,
                content=content,
                num_threads=config.num_threads,
            )
        )
    return fits


def _led_by(recipe: RecipeConfig, fraction: float) -> RecipeConfig:
    objective = replace(recipe.objective, leader_fraction=fraction, final_leader_fraction=None)
    return replace(recipe, objective=objective)


def _engine(fit: StudyFit, images: Images) -> SingleDeviceEngine:
    if fit.num_threads is not None:
        torch.set_num_threads(fit.num_threads)
    device = device_of(fit.recipe)
    return build_image_engine(fit.recipe, images, fit.seed, device)


def _mean_activity(fit: Mapping[str, Any]) -> dict[str, Any]:
    """By window, block, space and number of ``SERIES``: the mean over the recorded steps."""
    found: dict[str, Any] = {}
    for window, content in fit["windows"].items():
        for block in (key for key in content if key != "steps"):
            for space, series in content[block]["series"].items():
                known = {name: [v for v in series[name] if v is not None] for name in SERIES}
                means = {name: fmean(values) for name, values in known.items() if values}
                found.setdefault(window, {}).setdefault(block, {})[space] = means
    return found


def _over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The same keys with the mean and the standard deviation of each number."""
    found: dict[str, Any] = {}
    for key, value in (rows[0] if rows else {}).items():
        own = [row[key] for row in rows if key in row]
        if isinstance(value, Mapping) and set(value) == {"mean", "sd"}:
            found[key] = mean_and_sd([each["mean"] for each in own])
            found[key]["sd_within"] = fmean(each["sd"] for each in own)
        elif isinstance(value, Mapping):
            found[key] = _over_seeds(own)
        else:
            found[key] = mean_and_sd(own)
    return found
