"""An experiment that is a study: of workers, of complexity, or of the leaders that classes need."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from brainage.config.images import load_images_config
from brainage.config.studies import (
    ComplexityStudyConfig,
    LeaderComplexityConfig,
    WorkerStudyConfig,
)
from brainage.config.table_parts import FitsOf, PanelPart, StudyPart
from brainage.config.tables import load_table
from brainage.config.validation import to_plain
from brainage.errors import ConfigError, RunFolderError
from brainage.workflows.studies.complexity import run_complexity_study
from brainage.workflows.studies.leader_complexity import SweptFit, run_leader_complexity
from brainage.workflows.studies.workers import run_worker_study
from brainage.workflows.tables.panel_part import panel_fits, panel_state, run_panel
from brainage.workflows.tables.result import PartFacts
from brainage.workflows.tables.scale import FULL, changed_settings, fewer_repetitions, scale_words
from brainage.workflows.tables.state import PartState, Value

_LEADERS = "objective.leader_fraction"
_SAYS_NOTHING = ("num_threads", "seeds", "data.num_loader_workers")


def run_study(part: StudyPart, folder: Path, *, out: Path, full: bool, jobs: int) -> None:
    """Do what is not done yet.

    Args:
        part: which study.
        folder: of this experiment; made when needed.
        out: of all tables; networks of another table are trained there if they are lacking.
        full: without the part's reductions.
        jobs: fits at the same time.

    Raises:
        BrainageError: if data, configuration or folder cannot be used.
    """
    study = part.study(full=full)
    if isinstance(study, WorkerStudyConfig):
        run_worker_study(study, folder, jobs=jobs)
    elif isinstance(study, ComplexityStudyConfig):
        if _kept_settings(folder) != _as_json(to_plain(study)):
            run_complexity_study(study, folder)
    else:
        assert part.fits is not None
        panel, where = _panel_of(part.fits, out)
        run_panel(panel, where, full=full, jobs=jobs)
        facts = panel_state(panel, where).facts
        run_leader_complexity(
            *_swept(study, part.fits, panel, where), folder, scale=facts.scale, failed=facts.failed
        )


def study_state(part: StudyPart, folder: Path) -> PartState:
    """What is there of it.

    Raises:
        RunFolderError: if its result cannot be read.
    """
    result = read_study(folder)
    if result is None:
        begun = folder.is_dir() and any(folder.iterdir())
        scale = "begun" if begun else "not run"
        return PartState(
            facts=PartFacts(scale=scale, complete=False), values=partial(_values, part, {})
        )
    summary = _SUMMARIES[part.kind](result)
    return PartState(facts=_facts(part, result), values=partial(_values, part, summary))


def read_study(folder: Path) -> dict[str, Any] | None:
    """The result that a study wrote, None if it did not finish.

    Raises:
        RunFolderError: if it cannot be read.
    """
    path = folder / "result.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot read: {error}") from error
    return result


def _panel_of(fits: FitsOf, out: Path) -> tuple[PanelPart, Path]:
    """Raises ConfigError if it is no sweep over the share of leaders."""
    part = load_table(fits.table).parts.get(fits.part)
    panel = None if part is None else part.panel
    swept = panel is not None and panel.sweep is not None and panel.sweep.key == _LEADERS
    if panel is None or not swept or fits.method not in panel.methods:
        raise ConfigError(
            f"fits: {fits.table} has no part {fits.part} that trains {fits.method} with several "
            "shares of leaders"
        )
    return panel, out / fits.table / fits.part


def _swept(
    study: LeaderComplexityConfig, fits: FitsOf, panel: PanelPart, where: Path
) -> tuple[LeaderComplexityConfig, list[SweptFit]]:
    """The study of the panel's images and workers, and its networks."""
    assert panel.sweep is not None
    config = load_images_config(where / "config.yaml")
    fractions = dict(zip(panel.fits_of(fits.method), panel.sweep.values, strict=True))
    swept = [
        SweptFit(
            leader_fraction=fractions[fit.method],
            seed=fit.seed,
            error_percent_by_class=dict(enumerate(fit.validation_error_percent_by_class)),
        )
        for fit in panel_fits(where)
        if fit.method in fractions and not fit.failed
    ]
    workers = config.recipe.heads.num_lf_workers or study.num_lf_workers
    return replace(study, data=config.data, num_lf_workers=workers), swept


def _facts(part: StudyPart, result: Mapping[str, Any]) -> PartFacts:
    if part.kind == "workers":
        return _worker_facts(part, result)
    if part.kind == "complexity":
        return _complexity_facts(result)
    return _leader_facts(result)


def _worker_facts(part: StudyPart, result: Mapping[str, Any]) -> PartFacts:
    config = result["config"]
    recipe, wanted = config["recipe"], config["seeds"]
    lacking = _lacking(result)
    seeds = len(wanted) - len({seed for _, seed in lacking})
    full = _as_json(to_plain(part.study(full=True)))
    smaller = [] if result["original"] else [str(result["note"])]
    smaller += changed_settings(full, part.reduced, config, _SAYS_NOTHING)
    return PartFacts(
        scale=scale_words(smaller + fewer_repetitions(seeds, part.repetitions)),
        complete=not lacking,
        device=str(result["device"]),
        note=str(result["note"]),
        seeds=seeds,
        failed=[
            f"{kind}, seed {seed}: did not come to an end, the log says why"
            for kind, seed in lacking
        ],
        details={
            "data": result["data"],
            "sizes": result["sizes"],
            "backbone": recipe["backbone"]["name"],
            "readout": recipe["heads"]["readout"],
            "leader_fraction": recipe["objective"]["leader_fraction"],
            **_activity_details(config),
            "epochs": recipe["trainer"]["epochs"],
            "batch_size": recipe["trainer"]["batch_size"],
        },
    )


def _lacking(result: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Kind and seed of every network that the study is to have and has not."""
    config = result["config"]
    kinds = {"workers": "fits"}
    if config["activity"] is not None:
        kinds["activity"] = "activity"
        if config["activity"]["control"]:
            kinds["activity, all leading"] = "activity_control"
    return [
        (kind, seed)
        for kind, key in kinds.items()
        for seed in config["seeds"]
        if seed not in {fit["seed"] for fit in result[key]}
    ]


def _activity_details(config: Mapping[str, Any]) -> dict[str, float]:
    watched = config["activity"]
    return {} if watched is None else {"leader_fraction_for_activity": watched["leader_fraction"]}


def _complexity_facts(result: Mapping[str, Any]) -> PartFacts:
    config = result["config"]
    copies = [f"{row['data']}: {row['images']} images, {row['note']}" for row in result["sets"]]
    return PartFacts(
        scale=f"reduced: {config['images_per_set']} images a set or fewer, copies and samples",
        complete=True,
        note="; ".join(copies),
        details={key: config[key] for key in ("order", "resize", "mass", "largest_moment")},
    )


def _leader_facts(result: Mapping[str, Any]) -> PartFacts:
    smaller = [f"{result['data']} in place of ImageNet"]
    if result.get("scale", FULL) != FULL:
        smaller.append(str(result["scale"]).removeprefix("reduced: "))
    return PartFacts(
        scale=scale_words(smaller),
        complete=True,
        seeds=result["seeds"],
        failed=list(result.get("failed", ())),
        details={
            "data": result["data"],
            "classes": len(result["classes"]),
            "workers": result["config"]["num_lf_workers"],
        },
    )


def _complexity_summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """By image set the width of its spectra and alpha_0, mean and deviation over images."""
    rows = {row["data"]: row for row in result["sets"]}
    return {
        name: {"spectrum_width": row["heterogeneity"], "alpha_0": row["irregularity"]}
        for name, row in rows.items()
    }


def _leader_summary(result: Mapping[str, Any]) -> dict[str, Any]:
    found = result["correlation"]
    return {"spearman": found["spearman"], "p": found["p_permutation"]}


_SUMMARIES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "workers": lambda result: dict(result["summary"]),
    "complexity": _complexity_summary,
    "leader_complexity": _leader_summary,
}


def _values(part: StudyPart, summary: Mapping[str, Any], method: str, measure: str) -> list[Value]:
    paths = part.paths(method, measure)
    if not summary:
        return [Value(setting=label, mean=None) for label, _ in paths]
    return [_value(label, _found(summary, path)) for label, path in paths]


def _found(summary: Mapping[str, Any], path: list[str]) -> Any:
    """What stands at the path.

    Raises:
        ConfigError: if nothing does.
    """
    found: Any = summary
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            known = f"; there are {', '.join(found)}" if isinstance(found, Mapping) else ""
            raise ConfigError(f"methods: no number at {'.'.join(path)}: no {key}{known}")
        found = found[key]
    return found


def _value(label: str, found: Any) -> Value:
    if isinstance(found, Mapping):
        mean, sd = found.get("mean"), found.get("sd")
        return Value(setting=label, mean=_rounded(mean), sd=_rounded(sd))
    return Value(setting=label, mean=_rounded(found))


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)


def _kept_settings(folder: Path) -> Any:
    result = read_study(folder)
    return None if result is None else result.get("config")


def _as_json(settings: Any) -> Any:
    return json.loads(json.dumps(settings))
