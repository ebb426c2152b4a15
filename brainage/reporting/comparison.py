"""What a comparison of training rules found: filled by the workflow, shown by its page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from brainage.reporting.estimates import Estimate


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """What a training step of one arm takes, measured beside the steps of the others.

    ``peak_memory_bytes`` is the highest during steps above that of the network at rest, in a
    process of its own; ``activation_bytes`` is counted, not observed. ``joules_per_step`` is None
    where the machine has no counter, and ``energy_counter`` then says so.
    """

    step_seconds: float
    step_seconds_iqr: float
    samples_per_second: float
    peak_memory_bytes: int
    activation_bytes: int
    joules_per_step: float | None
    energy_counter: str
    device_name: str


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Validation error after so many epochs, mean over the arm's fits."""

    epoch: int
    seconds: float
    mae_years: float


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """One arm over all seeds and folds.

    Errors are None where a fit failed: the others' scans are not those of the other arms.
    ``leader_fraction`` is None for rules without leaders. ``block_ends`` are the stages up to the
    end of each block whose own error stands in ``block_mae_years``. ``epochs_to_target`` and
    ``seconds_to_target`` are medians over fits, None when fewer than half of them reach the target.
    """

    name: str
    objective: str
    num_blocks: int
    leader_fraction: float | None
    num_fits: int
    failures: tuple[str, ...] = ()
    mae_years: Estimate | None = None
    mae_by_seed: tuple[float, ...] = ()
    ensemble_mae_years: Estimate | None = None
    block_ends: tuple[int, ...] = ()
    block_mae_years: tuple[float, ...] = ()
    validation_mae_years: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    epochs_to_target: float | None = None
    seconds_to_target: float | None = None
    num_reached: int = 0
    cost: ArmCost | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_parameters(self) -> int | None:
        """All that are trained, the rule's heads and workers included."""
        return sum(self.parameters.values()) if self.parameters else None


@dataclass(frozen=True, kw_only=True)
class BaselineResult:
    """Another method on the same scans and parts."""

    name: str
    mae_years: Estimate
    mae_by_seed: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """MAE of ``a`` minus that of ``b`` on the same scans, in years: negative where a is better."""

    a: str
    b: str
    num_scans: int
    difference_years: Estimate

    @property
    def is_settled(self) -> bool | None:
        """Whether the interval leaves out zero; None without an interval."""
        low, high = self.difference_years.low, self.difference_years.high
        return None if low is None or high is None else not low <= 0 <= high


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that the page shows."""

    name: str
    created: datetime
    reference: str
    seeds: tuple[int, ...]
    num_folds: int
    """1: one split for each seed."""
    num_scans: int
    num_subjects: int
    age_range_years: tuple[float, float]
    backbone: str
    arms: tuple[ArmResult, ...]
    baselines: tuple[BaselineResult, ...]
    contrasts: tuple[Contrast, ...]
    target_mae_years: float | None
    """As configured; None took the largest final validation error of each seed and fold."""
    seconds_are: str
    """Where the seconds of curves and targets are from, in a few words."""
    failed_scans: int = 0
    num_stages: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    config_yaml: str = ""

    @property
    def against_reference(self) -> tuple[Contrast, ...]:
        """Contrasts with the reference arm."""
        return tuple(each for each in self.contrasts if each.b == self.reference)

    @property
    def against_baselines(self) -> tuple[Contrast, ...]:
        """Contrasts with the baselines."""
        names = {each.name for each in self.baselines}
        return tuple(each for each in self.contrasts if each.b in names)

    @property
    def reference_arm(self) -> ArmResult:
        """The arm that the others are compared with."""
        return next(arm for arm in self.arms if arm.name == self.reference)
