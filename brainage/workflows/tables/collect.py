"""A table out of what its experiments have left on disk, done or not."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainage.config.images import ImagesConfig, load_images_config
from brainage.config.tables import PanelPart, RowConfig, TableConfig, merge_plain, panel_of
from brainage.config.validation import to_plain
from brainage.errors import RunFolderError
from brainage.workflows.images.fit import ImageFit
from brainage.workflows.images.rows import tested_rows
from brainage.workflows.tables.result import Cell, Curve, PartFacts, TableResult

_NOT_RUN = PartFacts(scale="not run", complete=False)
_PERCENT = 100


def collect(table: TableConfig, out: Path) -> TableResult:
    """Everything that is known of a table so far.

    Args:
        table: which.
        out: the folder that ``run_table`` was given.

    Raises:
        BrainageError: if a result cannot be read.
    """
    parts: dict[str, PartFacts] = {}
    cells: list[Cell] = []
    curves: list[Curve] = []
    for name in table.parts:
        owner, own_name, panel = panel_of(table, name)
        assert panel is not None
        rows = [row for row in table.rows if row.part == name]
        folder = out / owner / own_name
        facts, fits = _panel_state(panel, folder)
        parts[name] = facts
        for row in rows:
            cells += _cells(row, panel, fits, facts.scale)
        if table.figure == "convergence":
            curves += _curves(name, panel, fits)
    return TableResult(
        table=table.name,
        title=table.title,
        parts=parts,
        rows=tuple(cells),
        curves=tuple(curves),
        notes=table.notes,
    )


def _panel_state(panel: PanelPart, folder: Path) -> tuple[PartFacts, list[ImageFit]]:
    """How far the fits are, with those that are done."""
    if not (folder / "config.yaml").is_file():
        return _NOT_RUN, []
    config = load_images_config(folder / "config.yaml")
    fits = tested_rows(folder / "rows.jsonl")
    known = _facts(folder)
    wanted = {(method, seed) for method in config.methods for seed in config.seeds}
    done = {(fit.method, fit.seed) for fit in fits}
    trained = [fit for fit in fits if not fit.failed]
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
        device=next((fit.device for fit in trained if fit.device), ""),
        note=str(known.get("note", "")),
        seeds=len(config.seeds),
        details=details,
    )
    return facts, fits


def _facts(folder: Path) -> Mapping[str, Any]:
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
    smaller += _other_changes(panel, config)
    if panel.repetitions is not None and len(config.seeds) < panel.repetitions:
        smaller.append(f"{len(config.seeds)} of {panel.repetitions} repetitions")
    return f"reduced: {', '.join(smaller)}" if smaller else "full"


def _other_changes(panel: PanelPart, config: ImagesConfig) -> list[str]:
    """Settings that were reduced and that neither images nor epochs tell of, with their values."""
    plain = to_plain(config)
    told = {"data.train_images", "data.test_images", "data.validation_images"}
    told |= {"recipe.trainer.epochs", "num_threads", "seeds"}
    full = to_plain(panel.panel("full", full=True))
    changes = []
    for key in _leaves(merge_plain(full, panel.reduced)):
        value, before = _at(plain, key), _at(full, key)
        shown = ".".join(key)
        bookkeeping = shown.startswith(("tracking.", "methods.", "name"))
        if value != before and shown not in told and not bookkeeping:
            changes.append(f"{shown.removeprefix('recipe.')} {value} instead of {before}")
    return changes


def _leaves(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in content.items():
        path = (*above, key)
        found += _leaves(value, path) if isinstance(value, Mapping) and value else [path]
    return found


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(content, Mapping):
            return None
        content = content.get(key)
    return content


def _cells(row: RowConfig, panel: PanelPart, fits: Sequence[ImageFit], scale: str) -> list[Cell]:
    names = panel.fits_of(row.method)
    published = row.published or (None,) * len(names)
    swept = panel.sweep is not None and row.method in panel.methods
    cells = []
    for name, value in zip(names, published, strict=True):
        own = [fit for fit in fits if fit.method == name]
        known = [v for fit in own if (v := _measured(fit, row.measure)) is not None]
        cells.append(
            Cell(
                part=row.part,
                method=row.method,
                setting=name.removeprefix(f"{row.method} ") if swept else "",
                measure=row.measure,
                published=value,
                measured=round(statistics.mean(known), 4) if known else None,
                sd=round(statistics.stdev(known), 4) if len(known) > 1 else None,
                seeds=len(known),
                failed=sum(fit.failed for fit in own),
                scale=scale,
            )
        )
    return cells


def _measured(fit: ImageFit, measure: str) -> float | None:
    if measure == "epoch_minutes":
        return None if fit.epoch_seconds is None else fit.epoch_seconds / 60
    error = fit.train_error_percent if measure.startswith("train") else fit.test_error_percent
    if error is None or measure.endswith("error_percent"):
        return error
    return _PERCENT - error


def _curves(part: str, panel: PanelPart, fits: Sequence[ImageFit]) -> list[Curve]:
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
                curves.append(Curve(part=part, method=name, epochs=epochs, values=means))
    return curves
