"""How far an experiment of a table is, and its numbers; each kind of experiment gives this."""

from collections.abc import Callable
from dataclasses import dataclass

from brainage.workflows.tables.result import Curve, PartFacts


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number of a row's column: mean over ``seeds`` repetitions; None if there is none yet."""

    setting: str
    mean: float | None
    sd: float | None = None
    seeds: int = 0
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class PartState:
    """An experiment as far as it is done.

    ``values`` gives the numbers of a row, one for every column, for a method and a measure.
    ``curves`` are for figures; what they belong to is filled in by the table.
    """

    facts: PartFacts
    values: Callable[[str, str], list[Value]]
    curves: tuple[Curve, ...] = ()
