"""Parts of a paper table: what is trained, projected, timed or studied, and its columns."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from brainage.config.files import find_config, parse_override, read_config
from brainage.config.images import ImagesConfig, images_config_from
from brainage.config.sections import merge, merge_plain
from brainage.config.studies import (
    ComplexityStudyConfig,
    LeaderComplexityConfig,
    WorkerStudyConfig,
    study_from,
)
from brainage.core.config import FORBID_UNKNOWN, require


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
class FitsOf:
    """Networks of another part, trained with several shares of leaders."""

    __pydantic_config__ = FORBID_UNKNOWN

    table: str
    """Name of its table."""
    part: str
    """A panel whose sweep is over ``objective.leader_fraction``."""
    method: str
    """One of its swept methods."""


StudyConfig = WorkerStudyConfig | ComplexityStudyConfig | LeaderComplexityConfig
StudyKind = Literal["workers", "complexity", "leader_complexity"]
STUDIES: dict[StudyKind, type[StudyConfig]] = {
    "workers": WorkerStudyConfig,
    "complexity": ComplexityStudyConfig,
    "leader_complexity": LeaderComplexityConfig,
}


@dataclass(frozen=True, kw_only=True)
class StudyPart:
    """A study of ``brainage.workflows.studies``, and where in its summary the numbers stand."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: StudyKind
    """Which study."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What the table's experiment changes in it."""
    reduced: dict[str, Any] = field(default_factory=dict)
    """Further changes, for two cores; left out by ``--full``."""
    repetitions: int | None = None
    """Repetitions of the published experiment, where it says how many."""
    fits: FitsOf | None = None
    """Networks that ``leader_complexity`` is about; for it alone."""
    methods: dict[str, str] = field(default_factory=dict)
    """By a row's method, the dotted path of its numbers in the study's summary; ``{column}`` and
    ``{measure}`` stand for what the cell is of."""
    settings: dict[str, str] = field(default_factory=lambda: {"": ""})
    """By the label of a column, what ``{column}`` stands for."""

    def __post_init__(self) -> None:
        about_fits = self.kind == "leader_complexity"
        given = self.fits is not None
        require(given == about_fits, "fits", "given for leader_complexity, and only there", given)

    def columns(self, method: str) -> tuple[str, ...]:
        """Settings of a row.

        Raises:
            KeyError: if there is no such method.
        """
        if method not in self.methods:
            raise KeyError(method)
        return tuple(self.settings)

    def paths(self, method: str, measure: str) -> list[tuple[str, list[str]]]:
        """By column the way through the summary to its number."""
        template = self.methods[method]
        return [
            (label, template.format(column=place, measure=measure).split("."))
            for label, place in self.settings.items()
        ]

    def study(self, *, full: bool) -> StudyConfig:
        """The study's own configuration.

        Args:
            full: leave the reductions out.

        Raises:
            ConfigError: lists problems, each after the path of its key.
        """
        changes = self.changes if full else merge_plain(self.changes, self.reduced)
        return study_from(STUDIES[self.kind], changes)


@dataclass(frozen=True, kw_only=True)
class UsedPart:
    """A part of another table."""

    __pydantic_config__ = FORBID_UNKNOWN

    table: str
    """Name of the other table."""
    part: str
    """Its part."""
    methods: dict[str, str] = field(default_factory=dict)
    """Of a study, other numbers than the other table shows."""
    settings: dict[str, str] = field(default_factory=dict)
    """Of a study, the columns of these numbers."""


OwnPart = PanelPart | PlanPart | SpeedPart | StudyPart


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
    study: StudyPart | None = None
    """What workers do, or how complex images are."""
    use: UsedPart | None = None
    """An experiment of another table."""

    def __post_init__(self) -> None:
        kinds = [each.name for each in fields(self) if getattr(self, each.name) is not None]
        words = "exactly one of " + ", ".join(each.name for each in fields(self))
        require(len(kinds) == 1, "kind", words, kinds)

    @property
    def own(self) -> OwnPart | None:
        """The experiment; None if it is another table's."""
        return self.panel or self.plan or self.speed or self.study
