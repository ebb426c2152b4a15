"""What ``brainage calibrate`` hands back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainage.bundle.age_line import AgeLine
from brainage.reporting.counts import counted
from brainage.reporting.estimates import Estimate
from brainage.reporting.formatting import decimals, interval
from brainage.workflows.calibrate.compare import Comparison


@dataclass(frozen=True, kw_only=True)
class CalibrateSummary:
    """Result of ``brainage calibrate``; ``calibration_report.json`` holds the same and more."""

    subjects: int
    failed: int
    age_line: AgeLine
    comparison: Comparison
    warnings: tuple[str, ...]
    model_hash: str
    base_model_hash: str
    out: Path
    report: Path

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan has no prediction."""
        return 1 if self.failed else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        line = self.age_line
        return [
            f"people: {self.subjects}; {counted(self.failed, 'scan')} failed",
            *(f"mean absolute error, {row.name}: {_shown(row.mae_years, ' years')}"
              for row in self.comparison.rows),
            *(f"intervals, {row.name}: hold {_shown(row.coverage)} where {row.nominal:.2f} is "
              f"meant, {decimals(row.width_years.value, 1)} years wide"
              for row in self.comparison.intervals),
            f"age line: {line.slope:.2f} x age {line.intercept_years:+.1f} years",
            f"model: {self.out}, hash {self.model_hash} (before: {self.base_model_hash})",
            f"report: {self.report}",
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "subjects": self.subjects,
            "failed": self.failed,
            "age_line": {
                "slope": self.age_line.slope,
                "intercept_years": self.age_line.intercept_years,
                "n": self.age_line.n,
            },
            **self.comparison.as_dict(),
            "warnings": list(self.warnings),
            "model_hash": self.model_hash,
            "base_model_hash": self.base_model_hash,
            "out": str(self.out),
            "report": str(self.report),
        }


def _shown(estimate: Estimate, unit: str = "") -> str:
    between = interval(estimate)
    value = "unknown" if estimate.value is None else f"{decimals(estimate.value)}{unit}"
    return f"{value} (95 % interval {between})" if between else value
