"""An experiment that trains networks on images: a panel, and its numbers."""

import json
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from brainage.config.images import ImagesConfig, load_images_config, same_fits
from brainage.config.table_parts import PanelPart
from brainage.config.validation import to_plain
from brainage.errors import ConfigError, RunFolderError
from brainage.workflows.images.fit import ImageFit
from brainage.workflows.images.rows import table_rows
from brainage.workflows.images.run import benchmark_images
from brainage.workflows.images.summary import devices_of
from brainage.workflows.tables.result import Curve, PartFacts
from brainage.workflows.tables.scale import changed_settings, fewer_repetitions, scale_words
from brainage.workflows.tables.state import PartState, Value
from brainage.workflows.train.run_folder import LOCK

_PERCENT = 100
_TOLD = (
    *("data.train_images", "data.test_images", "data.validation_images"),
    *("num_threads", "data.num_loader_workers", "seeds", "tracking", "methods", "name"),
    "published_epochs",
    *("recipe.trainer.checkpoint_every", "recipe.trainer.validate_every"),
)


def run_panel(panel: PanelPart, folder: Path, *, full: bool, jobs: int) -> None:
    """Train what is not trained yet.

    Args:
        panel: which fits.
        folder: of this experiment; made when needed.
        full: without the part's reductions.
        jobs: fits at the same time.

    Raises:
        BrainageError: if data, configuration or folder cannot be used.
    """
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:
        # What a full disk or a kill left of a beginning.
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()
    begun = (folder / "config.yaml").is_file()
    if folder.exists() and not begun:
        raise RunFolderError(f"{folder}: is not a folder of this experiment; use another --out")
    config = panel.panel(folder.name, full=full)
    if begun and not same_fits(load_images_config(folder / "config.yaml"), config):
        raise ConfigError(
            f"{folder}: was begun with other settings (another scale, or other --set); use the "
            "same, choose another --out or remove the folder"
        )
    benchmark_images(config, runs_folder=folder.parent, resume=folder if begun else None, jobs=jobs)


def panel_state(panel: PanelPart, folder: Path) -> PartState:
    """What is there of it, done or not.

    Raises:
        BrainageError: if a result cannot be read.
    """
    facts, fits = _facts_and_fits(panel, folder)
    return PartState(
        facts=facts, values=partial(_values, panel, fits), curves=tuple(_curves(panel, fits))
    )


def _values(panel: PanelPart, fits: Sequence[ImageFit], method: str, measure: str) -> list[Value]:
    found = []
    for name, setting in zip(panel.fits_of(method), panel.columns(method), strict=True):
        own = [fit for fit in fits if fit.method == name]
        known = [v for fit in own if (v := _measured(fit, measure)) is not None]
        found.append(
            Value(
                setting=setting,
                mean=round(statistics.mean(known), 4) if known else None,
                sd=round(statistics.stdev(known), 4) if len(known) > 1 else None,
                seeds=len(known),
                failed=sum(fit.failed for fit in own),
            )
        )
    return found


def panel_fits(folder: Path) -> list[ImageFit]:
    """The fits of a panel's table so far, of the images that lie there now.

    Raises:
        BrainageError: if the panel cannot be read.
    """
    config = load_images_config(folder / "config.yaml")
    return table_rows(folder / "rows.jsonl", config, _remembered(folder).get("digest"))


def _facts_and_fits(panel: PanelPart, folder: Path) -> tuple[PartFacts, list[ImageFit]]:
    """How far the fits are, with those that are done."""
    if not (folder / "config.yaml").is_file():
        return PartFacts(scale="not run", complete=False), []
    config = load_images_config(folder / "config.yaml")
    known = _remembered(folder)
    fits = panel_fits(folder)
    wanted = {(method, seed) for method in config.methods for seed in config.seeds}
    done = {(fit.method, fit.seed) for fit in fits}
    trained = [fit for fit in fits if not fit.failed]
    succeeded = {(fit.method, fit.seed) for fit in trained}
    counts = {sum(fit.parameters.values()) for fit in trained}
    details = {
        "data": config.data.name,
        "sizes": known.get("sizes", {}),
        "backbone": config.recipe.backbone.name,
        "epochs": config.recipe.trainer.epochs,
        "batch_size": config.recipe.trainer.batch_size,
        "parameters": sorted(counts),
        "fits": f"{len(wanted & done)} of {len(wanted)}",
    }
    facts = PartFacts(
        scale=_scale(panel, config, str(known.get("scale", ""))),
        complete=wanted <= done,
        device=devices_of(trained),
        note=str(known.get("note", "")),
        seeds=min(sum(m == method for m, _ in wanted & succeeded) for method in config.methods),
        failed=[f"{fit.method}, seed {fit.seed}: {fit.reason}" for fit in fits if fit.failed],
        details=details,
    )
    return facts, fits


def _remembered(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    try:
        known: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot read: {error}") from error
    return known


def _scale(panel: PanelPart, config: ImagesConfig, images_scale: str) -> str:
    """``full``, or what is smaller: of the images, the epochs, the recipe, the repetitions."""
    smaller = [images_scale.removeprefix("reduced: ")] if images_scale.startswith("reduced") else []
    full = to_plain(panel.panel("full", full=True))
    # The images' scale tells of epochs where the published number is known.
    told = _TOLD if config.published_epochs is None else (*_TOLD, "recipe.trainer.epochs")
    smaller += changed_settings(full, panel.reduced, to_plain(config), told)
    return scale_words(smaller + fewer_repetitions(len(config.seeds), panel.repetitions))


def _measured(fit: ImageFit, measure: str) -> float | None:
    if measure == "epoch_minutes":
        return None if fit.epoch_seconds is None else fit.epoch_seconds / 60
    error = fit.train_error_percent if measure.startswith("train") else fit.test_error_percent
    if error is None or measure.endswith("error_percent"):
        return error
    return _PERCENT - error


def _curves(panel: PanelPart, fits: Sequence[ImageFit]) -> list[Curve]:
    """Validation accuracy in per cent along training, of every fit's name."""
    curves = []
    for method in [*panel.methods, *panel.controls]:
        for name in panel.fits_of(method):
            points: dict[int, list[float]] = {}
            for fit in fits:
                for entry in fit.history if fit.method == name else ():
                    if "val/accuracy" in entry:
                        points.setdefault(int(entry["epoch"]), []).append(entry["val/accuracy"])
            epochs = sorted(points)
            means = [round(_PERCENT * statistics.mean(points[epoch]), 3) for epoch in epochs]
            if epochs:
                curves.append(Curve(part="", method=name, epochs=epochs, values=means))
    return curves
