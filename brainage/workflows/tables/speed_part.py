"""Experiments about time: plans for devices that are not there, steps measured on those that are.

Each has one JSON file a measurement in its folder; one that is there, of the same settings, is not
measured again unless its step times were not steady.
"""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from brainage.config.plan import Planned, load_planned
from brainage.config.speed import SpeedConfig, load_speed_config
from brainage.config.table_parts import PlanPart, SpeedPart
from brainage.config.validation import to_plain
from brainage.core.speed import is_unsteady
from brainage.errors import RunFolderError
from brainage.workflows.benchmark.speed import benchmark_speed
from brainage.workflows.plan.case import PlanRequest
from brainage.workflows.plan.run import make_plan
from brainage.workflows.tables.result import PartFacts
from brainage.workflows.tables.state import PartState, Value
from brainage.workflows.train.run_folder import write_text

_log = logging.getLogger(__name__)
_SECONDS_PER_MINUTE = 60


def run_plan(part: PlanPart, folder: Path) -> None:
    """Measure the stages' costs and project, unless it was done with these settings.

    Raises:
        BrainageError: if the configuration or the folder cannot be used.
    """
    planned = load_planned(part.config, part.changes)
    request = PlanRequest(blocks=part.blocks)
    _once(
        folder / "plan.json",
        {"planned": _plain(planned), "blocks": list(part.blocks)},
        lambda: make_plan(planned, request, report=_log.info).to_json(),
    )


def plan_state(part: PlanPart, folder: Path) -> PartState:
    """The projections, if they are there.

    Raises:
        RunFolderError: if the file cannot be read.
    """
    found = _read(folder / "plan.json")
    if found is None:
        return PartState(
            facts=PartFacts(scale="not run", complete=False), values=partial(_nothing, part)
        )
    result = found["result"]
    facts = PartFacts(
        scale="projected",
        complete=True,
        device=str(result["device_name"]),
        note="K blocks on K devices of this kind, from costs measured on one; the same batch, over "
        "back-propagation on one device",
        details={
            "backbone": result["backbone"],
            "batch_size": result["batch_size"],
            "precision": result["precision"],
        },
    )
    return PartState(facts=facts, values=partial(_projected, part, result))


def run_speed(part: SpeedPart, folder: Path) -> None:
    """Measure steps for every number of blocks that was not measured yet, or not steadily.

    Raises:
        BrainageError: if the configuration or the folder cannot be used, or a process dies.
    """
    for number in part.blocks:
        config = _speed_config(part, number)

        def measured(config: SpeedConfig = config) -> dict[str, Any]:
            return benchmark_speed(config, report=_log.info).to_json()

        _once(folder / f"{number}_blocks.json", _plain(config), measured)


def speed_state(part: SpeedPart, folder: Path) -> PartState:
    """The measurements that are there.

    Raises:
        RunFolderError: if a file cannot be read.
    """
    found = {number: _read(folder / f"{number}_blocks.json") for number in part.blocks}
    rows = {
        number: {row["method"]: row for row in each["result"]["rows"]}
        for number, each in found.items()
        if each is not None
    }
    known = next((row for each in rows.values() for row in each.values()), None)
    if known is None:
        return PartState(
            facts=PartFacts(scale="not run", complete=False), values=partial(_nothing, part)
        )
    unsteady = [f"{number} blocks" for number, each in found.items() if each and _unsteady(each)]
    facts = PartFacts(
        scale=f"reduced: {part.reduced}" if part.reduced else "full",
        complete=len(rows) == len(part.blocks) and not unsteady,
        device=str(known["device_name"]),
        note="measured on "
        f"{max(row['devices'] for each in rows.values() for row in each.values())} processes, over "
        f"{known['method']} on one"
        + (f"; not steady, to be measured again: {', '.join(unsteady)}" if unsteady else ""),
        details={
            "backbone": known["backbone"],
            "input_shape": known["input_shape"],
            "batch_size": known["batch_size"],
            "precision": known["precision"],
        },
    )
    return PartState(facts=facts, values=partial(_timed, part, rows))


def _speed_config(part: SpeedPart, number: int) -> SpeedConfig:
    return load_speed_config(part.config, [f"blocks.num_blocks={number}"])


def _projected(part: PlanPart, result: Mapping[str, Any], method: str, measure: str) -> list[Value]:
    plans = {sum(1 for _ in plan["stage_counts"]): plan for plan in result["plans"]}
    values = []
    for number, setting in zip(part.blocks, part.columns(method), strict=True):
        rows = plans[number]["rows"] if number in plans else []
        row = next((each for each in rows if each["engine"] == "blocks"), None)
        mean = None if row is None else _number(row, measure, part.images_per_epoch)
        values.append(Value(setting=setting, mean=mean))
    return values


def _timed(
    part: SpeedPart, rows: Mapping[int, Mapping[str, Any]], method: str, measure: str
) -> list[Value]:
    values = []
    for number, setting in zip(part.blocks, part.columns(method), strict=True):
        row = rows.get(number, {}).get(method)
        mean = None if row is None else _number(row, measure, part.images_per_epoch)
        values.append(Value(setting=setting, mean=mean))
    return values


def _number(row: Mapping[str, Any], measure: str, images_per_epoch: int | None) -> float | None:
    """A row's speedup, or its minutes for an epoch of so many images; None if it cannot be done."""
    if measure == "speedup":
        return None if row["speedup"] is None else round(float(row["speedup"]), 3)
    if measure != "epoch_minutes" or images_per_epoch is None or row["step_seconds"] is None:
        return None
    steps = images_per_epoch / int(row["batch_size"])
    return round(steps * float(row["step_seconds"]) / _SECONDS_PER_MINUTE, 2)


def _nothing(part: PlanPart | SpeedPart, method: str, measure: str) -> list[Value]:  # noqa: ARG001
    return [Value(setting=setting, mean=None) for setting in part.columns(method)]


def _plain(settings: Planned | SpeedConfig) -> dict[str, Any]:
    return json.loads(json.dumps(to_plain(settings)))  # type: ignore[no-any-return]


def _once(path: Path, settings: Mapping[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
    """Measure and keep, unless the file has a steady measurement with these settings."""
    known = _read(path)
    if known is not None and known["settings"] == settings and not _unsteady(known):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{path.parent}: cannot create it: {error.strerror}") from error
    content = {"settings": settings, "result": measure()}
    write_text(path, json.dumps(content, indent=1) + "\n")


def _unsteady(measurement: Mapping[str, Any]) -> bool:
    """Whether steps were timed, and took times too different to be trusted."""
    return any(
        is_unsteady(row["step_seconds"], row["step_seconds_iqr"])
        for row in measurement["result"].get("rows", ())
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"settings": content["settings"], "result": content["result"]}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunFolderError(f"{path}: cannot read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path}: is damaged: {error}") from error
