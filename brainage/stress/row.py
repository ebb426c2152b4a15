"""One row of a stress test: what became of a scan after one change."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from brainage.stress.perturbation import Expected

UNTOUCHED = "untouched"

Verdict = Literal[
    "within", "over", "flagged", "refused", "unnoticed", "skipped", "reference", "dose"
]
"""``within``, ``over``: of the budget. ``flagged``: over, or not T1-weighted, but a flag
says so. ``refused``: no age, with stage and reason. ``unnoticed``: not T1-weighted, and an age
without a flag. ``skipped``: this scan has nothing to change. ``reference``: the untouched scan.
``dose``: a dose-response has no budget."""


@dataclass(frozen=True, kw_only=True)
class StressRow:
    """Ages and budgets in years; None is what there is not."""

    scan: str
    subject: str
    perturbation: str
    level: str
    expected: Expected
    verdict: Verdict
    dose: float | None = None
    predicted_age: float | None = None
    delta_years: float | None = None
    budget_years: float | None = None
    stage: str | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_failure(self) -> bool:
        """Whether a scan that should work has no age."""
        return self.verdict == "refused" and self.expected != "refusal or flag"

    @property
    def is_exceeded(self) -> bool:
        """Whether the age moved too far, or a scan that is no T1w went through, without a flag."""
        return self.verdict in {"over", "unnoticed"}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, numbers to four decimals."""
        rounded = {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        return {**rounded, "flags": list(self.flags)}

    def cells(self) -> list[str]:
        """The row as text for a table."""
        values = {**self.to_json(), "flags": " ".join(self.flags)}
        return ["" if value is None else str(value) for value in values.values()]


COLUMNS = tuple(entry.name for entry in fields(StressRow))


def judge(
    expected: Expected, delta_years: float, budget_years: float | None, flags: tuple[str, ...]
) -> Verdict:
    """The verdict of a change that led to an age.

    Args:
        expected: what should have happened.
        delta_years: age after the change minus age before.
        budget_years: of this change; None where there is none.
        flags: those that the untouched scan does not have.
    """
    if expected == "older":
        return "dose"
    if expected == "refusal or flag":
        return "flagged" if flags else "unnoticed"
    assert budget_years is not None
    if abs(delta_years) <= budget_years:
        return "within"
    return "flagged" if flags else "over"
