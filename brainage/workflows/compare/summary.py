"""What ``brainage compare`` returns: lines for people, one JSON object, tables as CSV text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainage.reporting.comparison import ArmResult, Comparison, Contrast
from brainage.reporting.formatting import decimals
from brainage.workflows.compare.fit import LAST
from brainage.workflows.compare.results import Results, leader_fraction_of


@dataclass(frozen=True, kw_only=True)
class CompareSummary:
    """Result of ``brainage compare``; ``comparison.json`` holds the same.

    ``rows`` has one entry for each fit, with step time and memory of its arm as measured beside the
    others. A fit that failed has its ``reason`` and no numbers.
    """

    run_dir: Path
    parent_run_id: str | None
    rows: tuple[dict[str, Any], ...]
    comparison: Comparison
    seconds: dict[str, float]

    @property
    def exit_code(self) -> int:
        """0, or 1 when a fit failed or a scan could not be used."""
        failed = any(arm.failures for arm in self.comparison.arms)
        return 1 if failed or self.comparison.failed_scans else 0

    def describe(self) -> list[str]:
        """A table for people."""
        found = self.comparison
        parts = f"{found.num_folds} folds" if found.num_folds > 1 else "one split"
        lines = [
            f"{found.num_scans} tested scans of {found.num_subjects} subjects; seeds "
            f"{list(found.seeds)}, {parts} each; errors uncorrected, held out, "
            "95 % intervals over subjects",
            "",
            f"{'':<28} {'MAE, years':>22} {f'minus {found.reference}':>26} {'step, s':>8} "
            f"{'memory, MB':>11}",
        ]
        differences = {each.a: each for each in found.against_reference}
        lines += [_arm_line(arm, differences.get(arm.name)) for arm in found.arms]
        lines += [
            f"{each.name:<28} {_with_interval(each.mae_years):>22}" for each in found.baselines
        ]
        lines.append("")
        lines += [
            f"failed: {arm.name}, {failure}" for arm in found.arms for failure in arm.failures
        ]
        if found.failed_scans:
            lines.append(f"scans that could not be used: {found.failed_scans}")
        times = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        return [*lines, f"time: {times}", f"page: {self.run_dir / 'comparison.html'}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = self.comparison
        return {
            "run_dir": str(self.run_dir),
            "parent_run_id": self.parent_run_id,
            "reference": found.reference,
            "rows": list(self.rows),
            "contrasts": contrast_rows(found.contrasts),
            "arms": arm_rows(found.arms),
            "baselines": [
                {
                    "name": each.name,
                    "mae_years": each.mae_years.value,
                    "low": each.mae_years.low,
                    "high": each.mae_years.high,
                    "mae_by_seed": list(each.mae_by_seed),
                }
                for each in found.baselines
            ],
            "seconds": {stage: round(value, 2) for stage, value in self.seconds.items()},
        }


def fit_rows(results: Results) -> tuple[dict[str, Any], ...]:
    """One entry for each fit."""
    entries = []
    for row in results.rows:
        config, cost = results.arms[row.arm], results.costs.get(row.arm)
        blocks = [name for name in row.predicted if name != LAST]
        entries.append(
            {
                "arm": row.arm,
                "objective": config.objective.name,
                "num_blocks": config.blocks.num_blocks,
                "leader_fraction": leader_fraction_of(config),
                "seed": row.seed,
                "fold": row.fold,
                "mae_years": results.mae_of(row),
                "step_seconds": None if cost is None else cost.step_seconds,
                "peak_memory_bytes": None if cost is None else cost.peak_memory_bytes,
                "mae_years_of": {name: results.mae_of(row, name) for name in blocks},
                "target_mae_years": results.target_of(row),
                "epochs_to_target": results.epochs_to_target(row),
                "seconds_to_target": results.seconds_to_target(row),
                "fit_step_seconds": row.step_seconds,
                "reason": row.reason or None,
            }
        )
    return tuple(entries)


def arm_rows(arms: Sequence[ArmResult]) -> list[dict[str, Any]]:
    """One entry for each arm, flat except for lists."""
    return [
        {
            "arm": arm.name,
            "objective": arm.objective,
            "num_blocks": arm.num_blocks,
            "leader_fraction": arm.leader_fraction,
            "fits": arm.num_fits,
            "failed": len(arm.failures),
            "mae_years": _value(arm, "mae_years", "value"),
            "mae_low": _value(arm, "mae_years", "low"),
            "mae_high": _value(arm, "mae_years", "high"),
            "mae_by_seed": list(arm.mae_by_seed),
            "ensemble_mae_years": _value(arm, "ensemble_mae_years", "value"),
            "block_mae_years": list(arm.block_mae_years),
            "validation_mae_years": arm.validation_mae_years,
            "epochs_to_target": arm.epochs_to_target,
            "seconds_to_target": arm.seconds_to_target,
            "reached_target": arm.num_reached,
            "step_seconds": _value(arm, "cost", "step_seconds"),
            "step_seconds_iqr": _value(arm, "cost", "step_seconds_iqr"),
            "samples_per_second": _value(arm, "cost", "samples_per_second"),
            "peak_memory_bytes": _value(arm, "cost", "peak_memory_bytes"),
            "activation_bytes": _value(arm, "cost", "activation_bytes"),
            "joules_per_step": _value(arm, "cost", "joules_per_step"),
            "energy_counter": _value(arm, "cost", "energy_counter"),
            "parameters": arm.num_parameters,
        }
        for arm in arms
    ]


def contrast_rows(contrasts: Sequence[Contrast]) -> list[dict[str, Any]]:
    """One entry for each difference."""
    return [
        {
            "a": each.a,
            "b": each.b,
            "delta_mae_years": each.difference_years.value,
            "low": each.difference_years.low,
            "high": each.difference_years.high,
            "n": each.num_scans,
        }
        for each in contrasts
    ]


def prediction_rows(results: Results) -> Iterable[dict[str, Any]]:
    """One entry for each tested scan, seed and arm or baseline."""
    for row in [*results.baselines, *results.rows]:
        for answer, ages in row.predicted.items():
            for scan, predicted in zip(row.scans, ages, strict=True):
                record = results.cohort.records[scan]
                yield {
                    "arm": row.arm,
                    "answer": answer,
                    "seed": row.seed,
                    "fold": row.fold,
                    "scan": str(record.scan),
                    "subject": record.subject,
                    "age_years": round(float(results.cohort.ages_years[scan]), 4),
                    "predicted_age": round(predicted, 4),
                }


def _value(arm: ArmResult, part: str, name: str) -> Any:
    owner = getattr(arm, part)
    return None if owner is None else getattr(owner, name)


def _arm_line(arm: ArmResult, contrast: Contrast | None) -> str:
    mae = "failed" if arm.mae_years is None else _with_interval(arm.mae_years)
    difference = "" if contrast is None else _with_interval(contrast.difference_years)
    step = "" if arm.cost is None else f"{arm.cost.step_seconds:.3f}"
    peak = "" if arm.cost is None else f"{arm.cost.peak_memory_bytes / 1e6:.0f}"
    return f"{arm.name:<28} {mae:>22} {difference:>26} {step:>8} {peak:>11}"


def _with_interval(estimate: Any) -> str:
    text = decimals(estimate.value)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({decimals(estimate.low)} to {decimals(estimate.high)})"
