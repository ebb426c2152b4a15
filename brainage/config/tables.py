"""The configuration of a paper table: what is trained or measured, and what was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from brainage.config.files import find_config, installed_configs, parse_override, read_config
from brainage.config.images import ImagesConfig, images_config_from
from brainage.config.sections import merge
from brainage.config.validation import validate
from brainage.config.yaml_text import read_yaml
from brainage.core.config import FORBID_UNKNOWN, require
from brainage.errors import ConfigError

FOLDER = "tables"
Measure = Literal[
    "test_error_percent",
    "test_accuracy_percent",
    "train_error_percent",
    "epoch_minutes",
    "speedup",
]


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A setting that every swept method is trained with at several values."""

    __pydantic_config__ = FORBID_UNKNOWN

    key: str
    """Dotted key of the recipe, like ``objective.leader_fraction``."""
    values: tuple[float, ...]
    """Its values: the columns of the table."""
    label: str = "{}"
    """How a value is written, in Python's format language: ``{:.0%}``, ``{} blocks``."""

    def __post_init__(self) -> None:
        different = len(set(self.values)) == len(self.values) > 0
        require(different, "values", "different numbers, at least one", list(self.values))
        try:
            labels = {self.written(value) for value in self.values}
        except (ValueError, IndexError, KeyError):
            labels = set()
        distinct = len(labels) == len(self.values)
        require(distinct, "label", "a format that tells the values apart", self.label)

    def written(self, value: float) -> str:
        """The value for people."""
        whole = int(value) if value == int(value) and "%" not in self.label else value
        return self.label.format(whole)

    def change(self, value: float) -> dict[str, Any]:
        """The change of a recipe that sets the value."""
        return parse_override(f"{self.key}={int(value) if value == int(value) else value}")


@dataclass(frozen=True, kw_only=True)
class PanelPart:
    """Fits of image-classification networks: a panel of ``brainage benchmark images``."""

    __pydantic_config__ = FORBID_UNKNOWN

    base: str
    """Configuration of a panel, like ``images/mnist_mlp.yaml``; its methods are not taken over."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What the table's experiment changes in it."""
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each method changes in the recipe; each is trained at every value of ``sweep``."""
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Methods that are trained once, whatever ``sweep`` says."""
    sweep: SweepConfig | None = None
    """The setting that makes the columns."""
    reduced: dict[str, Any] = field(default_factory=dict)
    """Further changes, for two cores; left out by ``--full``."""
    repetitions: int | None = None
    """Repetitions of the published experiment, where it says how many."""

    def __post_init__(self) -> None:
        require(bool(self.methods or self.controls), "methods", "at least one, or a control", {})
        for key in ("changes", "reduced"):
            banned = sorted({"methods", "name", "base"} & set(getattr(self, key)))
            require(not banned, key, "keys of a panel other than methods, name and base", banned)

    def fits_of(self, method: str) -> tuple[str, ...]:
        """Names in the panel of a row's fits: one for every column, or one in all.

        Raises:
            KeyError: if there is no such method.
        """
        if method in self.controls:
            return (method,)
        if method not in self.methods:
            raise KeyError(method)
        if self.sweep is None:
            return (method,)
        return tuple(f"{method} {self.sweep.written(value)}" for value in self.sweep.values)

    def columns(self, method: str) -> tuple[str, ...]:
        """Settings of a row: the swept values, or one empty one.

        Raises:
            KeyError: if there is no such method.
        """
        if self.sweep is None or method in self.controls:
            return ("",) * len(self.fits_of(method))
        return tuple(name.removeprefix(f"{method} ") for name in self.fits_of(method))

    def panel(self, name: str, *, full: bool) -> ImagesConfig:
        """The panel that trains everything.

        Args:
            name: of its folder.
            full: leave the reductions out.

        Raises:
            ConfigError: if the base cannot be used with the changes.
        """
        content = read_config(ImagesConfig, find_config(self.base))
        content = merge(ImagesConfig, content, self.changes)
        if not full:
            content = merge(ImagesConfig, content, self.reduced)
        methods = dict(self.controls)
        for method, change in self.methods.items():
            if self.sweep is None:
                methods[method] = change
                continue
            for value, fit in zip(self.sweep.values, self.fits_of(method), strict=True):
                methods[fit] = merge_plain(change, self.sweep.change(value))
        return images_config_from({**content, "name": name, "methods": methods})


@dataclass(frozen=True, kw_only=True)
class PlanPart:
    """Projections of ``brainage plan``: K blocks on K devices, from costs measured on one.

    Its only method is ``lfnn_l``; its columns are the numbers of blocks.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    config: str
    """Configuration of a plan, like ``plan/vit_b16.yaml``."""
    blocks: tuple[int, ...]
    """Numbers of blocks."""
    changes: tuple[str, ...] = ()
    """What is changed in it, like ``batch_size=1``."""
    images_per_epoch: int | None = None
    """Images of an epoch, for ``epoch_minutes``."""

    def columns(self, method: str) -> tuple[str, ...]:
        """Settings of a row.

        Raises:
            KeyError: if there is no such method.
        """
        if method != "lfnn_l":
            raise KeyError(method)
        return tuple(f"{number} blocks" for number in self.blocks)


@dataclass(frozen=True, kw_only=True)
class SpeedPart:
    """Measured steps of ``brainage benchmark speed``, for several numbers of blocks.

    Its methods are those of the configuration.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    config: str
    """Configuration of a speed benchmark, like ``speed/vit.yaml``."""
    blocks: tuple[int, ...]
    """Numbers of blocks."""
    methods: tuple[str, ...]
    """Methods of the configuration that rows name."""
    images_per_epoch: int | None = None
    """Images of an epoch, for ``epoch_minutes``."""
    reduced: str = ""
    """What is smaller than published, in words."""

    def columns(self, method: str) -> tuple[str, ...]:
        """Settings of a row.

        Raises:
            KeyError: if there is no such method.
        """
        if method not in self.methods:
            raise KeyError(method)
        return tuple(f"{number} blocks" for number in self.blocks)


@dataclass(frozen=True, kw_only=True)
class UsedPart:
    """A part of another table."""

    __pydantic_config__ = FORBID_UNKNOWN

    table: str
    """Name of the other table."""
    part: str
    """Its part."""


OwnPart = PanelPart | PlanPart | SpeedPart


@dataclass(frozen=True, kw_only=True)
class PartConfig:
    """One experiment of a table: exactly one of its kinds."""

    __pydantic_config__ = FORBID_UNKNOWN

    panel: PanelPart | None = None
    """Networks trained on images."""
    plan: PlanPart | None = None
    """Projected step times."""
    speed: SpeedPart | None = None
    """Measured step times."""
    use: UsedPart | None = None
    """An experiment of another table."""

    def __post_init__(self) -> None:
        kinds = [each.name for each in fields(self) if getattr(self, each.name) is not None]
        words = "exactly one of " + ", ".join(each.name for each in fields(self))
        require(len(kinds) == 1, "kind", words, kinds)

    @property
    def own(self) -> OwnPart | None:
        """The experiment; None if it is another table's."""
        return self.panel or self.plan or self.speed


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
    figure: Literal["leadership", "convergence"] | None = None
    """The picture that is drawn of it: numbers against the swept setting, or curves of training."""
    setting: str = ""
    """Words for what is swept, for the picture."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the published values or about how they are repeated."""

    def __post_init__(self) -> None:
        require(bool(self.parts), "parts", "at least one", {})
        require(bool(self.rows or self.figure), "rows", "at least one, or a figure", [])
        for index, row in enumerate(self.rows):
            known = row.part in self.parts
            require(known, f"rows.{index}.part", f"one of {sorted(self.parts)}", row.part)


def load_table(name: str, overrides: Sequence[str] = ()) -> TableConfig:
    """Load a table by its name, or from a file.

    Args:
        name: like ``s1``, or the path of a file that ends in ``.yaml``.
        overrides: like ``mnist.recipe.trainer.epochs=3``, a change of the panel of a part, applied
            in order.

    Raises:
        ConfigError: lists problems; says which tables there are if there is no such one.
    """
    path = find_config(name) if name.endswith(".yaml") else _named(name)
    table = validate(TableConfig, _with_changes(read_yaml(path), overrides))
    for key, part in table.parts.items():
        if part.panel is not None:
            for full in (False, True):
                try:
                    part.panel.panel(key, full=full)
                except ConfigError as error:
                    raise ConfigError(f"{path}: parts.{key}: {error}") from error
    for index, row in enumerate(table.rows):
        _check_row(table, index, row)
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
    other = load_table(own.use.table)
    found = other.parts.get(own.use.part)
    if found is None or found.own is None:
        raise ConfigError(
            f"parts.{part}.use: {own.use.table} has no part {own.use.part} of its own; it has "
            f"{', '.join(k for k, p in other.parts.items() if p.own is not None)}"
        )
    return other.name, own.use.part, found.own


def table_names() -> list[str]:
    """Names of the tables there are: the paper's order, tables before figures."""
    found: dict[str, None] = {}
    for folder in (Path("configs"), installed_configs()):
        if folder is not None:
            found |= dict.fromkeys(p.stem for p in (folder / FOLDER).glob("*.yaml"))
    return sorted(found, key=_paper_order)


def merge_plain(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``, key by key at every level."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_plain(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _paper_order(name: str) -> tuple[bool, int, str]:
    number = "".join(c for c in name if c.isdigit())
    return name.startswith("fig"), int(number or 0), name


def _named(name: str) -> Path:
    known = table_names()
    if name not in known:
        raise ConfigError(f"no table {name}: there are {', '.join(known) or 'none'}")
    return find_config(Path(FOLDER) / f"{name}.yaml")


def _with_changes(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``--set part.key=value`` lands in what the part reduces, so that its scale tells of it."""
    for override in overrides:
        change = parse_override(override)
        ((part, inner),) = change.items()
        known = content.get("parts", {})
        panel = known.get(part, {}).get("panel") if isinstance(known, Mapping) else None
        if not isinstance(panel, dict) or not isinstance(inner, Mapping):
            names = [key for key, value in known.items() if "panel" in value]
            raise ConfigError(
                f"--set {override}: expected PART.KEY=VALUE with a part that trains networks "
                f"({', '.join(names) or 'none here'}), like --set "
                f"{names[0] if names else 'part'}.recipe.trainer.epochs=3"
            )
        panel["reduced"] = merge_plain(panel.get("reduced", {}), inner)
    return content


def _check_row(table: TableConfig, index: int, row: RowConfig) -> None:
    _, _, part = experiment(table, row.part)
    try:
        columns = len(part.columns(row.method))
    except KeyError:
        raise ConfigError(
            f"{table.name}: rows.{index}.method: {row.part} has no method {row.method}"
        ) from None
    if row.published and len(row.published) != columns:
        raise ConfigError(
            f"{table.name}: rows.{index}.published: expected {columns} values, one for every "
            f"column, or none, got {len(row.published)}"
        )
