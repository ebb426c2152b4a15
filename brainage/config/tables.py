"""The configuration of a paper table: what is trained or measured, and what was published."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from brainage.config.files import find_config, installed_configs, parse_override
from brainage.config.plan import load_planned
from brainage.config.sections import merge_plain
from brainage.config.speed import load_speed_config
from brainage.config.table_parts import (
    OwnPart,
    PanelPart,
    PartConfig,
    PlanPart,
    SpeedPart,
    StudyPart,
    UsedPart,
)
from brainage.config.validation import validate
from brainage.config.yaml_text import read_yaml
from brainage.core.config import FORBID_UNKNOWN, require
from brainage.errors import ConfigError

FOLDER = "tables"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
Measure = Literal[
    "test_error_percent",
    "test_accuracy_percent",
    "accuracy_percent",
    "train_error_percent",
    "epoch_minutes",
    "speedup",
    "loss",
    "cosine_similarity",
    "normalised_distance",
    "normalised_variance",
    "mean_cosine",
    "spectrum_width",
    "alpha_0",
    "rank_correlation",
    "p_value",
]

# What a part has numbers of; a study's are those of its summary.
_MEASURES: dict[type, tuple[Measure, ...]] = {
    PanelPart: (
        "test_error_percent",
        "test_accuracy_percent",
        "train_error_percent",
        "epoch_minutes",
    ),
    PlanPart: ("speedup", "epoch_minutes"),
    SpeedPart: ("speedup", "epoch_minutes"),
}

StudyFigure = Literal[
    "best_leaders", "inference", "activity", "hilbert", "spectra", "leaders_needed"
]
Figure = Literal["leadership", "convergence"] | StudyFigure


@dataclass(frozen=True, kw_only=True)
class RowConfig:
    """A row of the table, with its published values."""

    __pydantic_config__ = FORBID_UNKNOWN

    part: str
    """The experiment it is from."""
    method: str
    """The method."""
    measure: Measure
    """What is measured."""
    published: tuple[float | None, ...] = ()
    """As printed, one for every column; none where nothing was published, as for a control."""
    published_sd: tuple[float | None, ...] = ()
    """The printed standard deviations, where there are any."""


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """A table or a figure of the supplement."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    """Its name on the command line."""
    title: str
    """What it shows."""
    parts: dict[str, PartConfig]
    """The experiments behind it."""
    rows: tuple[RowConfig, ...] = ()
    """Its rows."""
    figure: Figure | None = None
    """The picture that is drawn of it: numbers against the swept setting (``leadership``), curves
    of training (``convergence``), or a picture of a study."""
    setting: str = ""
    """Words for what is swept, for the picture."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the published values or about how they are repeated."""

    def __post_init__(self) -> None:
        require(bool(self.parts), "parts", "at least one", {})
        # They are names of folders.
        names = [each for each in (self.name, *self.parts) if not _NAME.fullmatch(each)]
        require(not names, "name", "names of letters, digits, '_' and '-', of parts too", names)
        require(bool(self.rows or self.figure), "rows", "at least one, or a figure", [])
        for index, row in enumerate(self.rows):
            known = row.part in self.parts
            require(known, f"rows.{index}.part", f"one of {sorted(self.parts)}", row.part)


def load_table(name: str, overrides: Sequence[str] = ()) -> TableConfig:
    """Load a table by its name, or from a file.

    Args:
        name: like ``s1``, or the path of a file that ends in ``.yaml``.
        overrides: like ``mnist.recipe.trainer.epochs=3``, a change of what a part trains,
            applied in order.

    Raises:
        ConfigError: lists problems; says which tables there are if there is no such one.
    """
    path = _path_of(name)
    table = _read(path, overrides)
    try:
        for key, part in table.parts.items():
            experiment(table, key)
            _check_part(key, part)
        for index, row in enumerate(table.rows):
            _check_row(table, index, row)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return table


def load_tables(names: Sequence[str], overrides: Sequence[str] = ()) -> list[TableConfig]:
    """Load several tables; ``all`` stands for every one there is.

    Raises:
        ConfigError: as ``load_table`` does, and for changes of more than one table.
    """
    wanted = list(dict.fromkeys(each for n in names for each in (table_names() if n == "all"
                                                                 else [n])))  # fmt: skip
    if overrides and len(wanted) > 1:
        raise ConfigError(f"--set {overrides[0]}: changes one table, but {len(wanted)} are named")
    return [load_table(name, overrides) for name in wanted]


def experiment(table: TableConfig, part: str) -> tuple[str, str, OwnPart]:
    """Where a part of a table is and what it is: the table and part it belongs to, and its kind.

    Raises:
        ConfigError: if it is borrowed from a part that does not exist or is borrowed itself.
    """
    own = table.parts[part]
    if own.own is not None:
        return table.name, part, own.own
    assert own.use is not None
    try:
        # Its parts are checked when it is loaded itself: ten rows would do it ten times here.
        other = _read(_path_of(own.use.table))
    except ConfigError as error:
        raise ConfigError(f"parts.{part}.use.table: {error}") from error
    found = other.parts.get(own.use.part)
    if found is None or found.own is None:
        raise ConfigError(
            f"parts.{part}.use: {own.use.table} has no part {own.use.part} of its own; it has "
            f"{', '.join(k for k, p in other.parts.items() if p.own is not None)}"
        )
    return other.name, own.use.part, _shown_as(own.use, found.own)


def table_names() -> list[str]:
    """Names of the tables there are: the paper's order, tables before figures."""
    found: dict[str, None] = {}
    for folder in (Path("configs"), installed_configs()):
        if folder is not None:
            found |= dict.fromkeys(p.stem for p in (folder / FOLDER).glob("*.yaml"))
    return sorted(found, key=_paper_order)


def _check_part(name: str, part: PartConfig) -> None:
    """Raises ConfigError where a part cannot be run, reduced or in full."""
    try:
        for full in (False, True):
            if part.panel is not None:
                part.panel.panel(name, full=full)
            if part.study is not None:
                part.study.study(full=full)
        if part.plan is not None:
            load_planned(part.plan.config, part.plan.changes)
        if part.speed is not None:
            load_speed_config(part.speed.config)
    except ConfigError as error:
        raise ConfigError(f"parts.{name}: {error}") from error


def _shown_as(use: UsedPart, part: OwnPart) -> OwnPart:
    """A borrowed study with the numbers that are wanted of it."""
    if not isinstance(part, StudyPart):
        return part
    methods, settings = use.methods or part.methods, use.settings or part.settings
    return replace(part, methods=methods, settings=settings)


def _paper_order(name: str) -> tuple[bool, int, str]:
    number = "".join(c for c in name if c.isdigit())
    return name.startswith("fig"), int(number or 0), name


def _path_of(name: str) -> Path:
    return find_config(name) if name.endswith(".yaml") else _named(name)


def _read(path: Path, overrides: Sequence[str] = ()) -> TableConfig:
    """The table in a file; what depends on other files is not checked."""
    content = _with_changes(read_yaml(path), overrides)
    try:
        return validate(TableConfig, content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _named(name: str) -> Path:
    known = table_names()
    if name not in known:
        raise ConfigError(f"no table {name}: there are {', '.join(known) or 'none'}")
    return find_config(Path(FOLDER) / f"{name}.yaml")


def _with_changes(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``--set part.key=value`` lands in what the part reduces, so that its scale tells of it."""
    for override in overrides:
        ((part, inner),) = parse_override(override).items()
        trained = _trained_parts(content)
        if part not in trained or not isinstance(inner, Mapping):
            raise ConfigError(
                f"--set {override}: expected PART.KEY=VALUE with a part that trains networks "
                f"({', '.join(trained) or 'none here'}), like --set "
                f"{next(iter(trained), 'part')}.recipe.trainer.epochs=3"
            )
        change = {"parts": {part: {trained[part]: {"reduced": inner}}}}
        content = merge_plain(content, change)
    return content


def _trained_parts(content: Mapping[str, Any]) -> dict[str, str]:
    """Parts that train networks, each with its kind, of a file that was not checked yet."""
    parts = content.get("parts")
    return {
        key: kind
        for key, part in (parts.items() if isinstance(parts, Mapping) else ())
        for kind in ("panel", "study")
        if isinstance(part, Mapping) and isinstance(part.get(kind), Mapping)
    }


def _check_row(table: TableConfig, index: int, row: RowConfig) -> None:
    _, _, part = experiment(table, row.part)
    try:
        columns = len(part.columns(row.method))
    except KeyError:
        raise ConfigError(f"rows.{index}.method: {row.part} has no method {row.method}") from None
    measures = _MEASURES.get(type(part), (row.measure,))
    if row.measure not in measures:
        raise ConfigError(
            f"rows.{index}.measure: {row.part} has {', '.join(measures)}, got {row.measure}"
        )
    for key in ("published", "published_sd"):
        given = len(getattr(row, key))
        if given not in (0, columns):
            raise ConfigError(
                f"rows.{index}.{key}: expected {columns} values, one for every "
                f"column, or none, got {given}"
            )
