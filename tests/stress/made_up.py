"""Rows of a stress test that nobody did, with known numbers."""

from collections.abc import Sequence
from typing import Any

from brainage.stress.results import StressResults
from brainage.stress.row import UNTOUCHED, StressRow


def row(perturbation: str, level: str, **values: Any) -> StressRow:
    content: dict[str, Any] = {
        "scan": "folder/scan.nii.gz",
        "subject": "sub-1",
        "expected": "same age",
        "verdict": "within",
        "delta_years": 0.123456,
        **values,
    }
    return StressRow(perturbation=perturbation, level=level, **content)


def rows(**values: Any) -> list[StressRow]:
    """An untouched scan and changes of it, with every verdict."""
    return [
        row(UNTOUCHED, "", verdict="reference", delta_years=0.0, predicted_age=30.0, **values),
        row("mirror", "left and right", budget_years=1.0, **values),
        row("noise", "5%", delta_years=1.0, budget_years=2.0, **values),
        row("noise", "12%", delta_years=-3.0, budget_years=2.0, verdict="over", **values),
        row("noise", "99%", delta_years=None, budget_years=2.0, verdict="refused",
            stage="registration", reason="the brain does not fit the template", **values),
        row("blur", "4 mm", delta_years=2.5, budget_years=2.0, verdict="flagged",
            flags=("low_cnr", "high_cjv"), **values),
        row("blur", "2 mm", budget_years=2.0, **values),
        row("defacing", "5 mm left", delta_years=None, budget_years=1.0, verdict="skipped",
            reason="the scan shows no face", **values),
        row("inversion", "dark white matter", delta_years=8.0, verdict="unnoticed",
            expected="refusal or flag", **values),
        *(row("ventricles", f"+ {dose:g} %", dose=dose, delta_years=0.04 * dose, verdict="dose",
              expected="older", **values) for dose in (25.0, 50.0)),
        *(row("cortex", f"- {dose:g} mm", dose=dose, delta_years=-dose, verdict="dose",
              expected="older", **values) for dose in (0.5, 1.0)),
    ]  # fmt: skip


def results(made: Sequence[StressRow] | None = None, model: str = "a model") -> StressResults:
    return StressResults(
        model=model,
        model_hash="abc",
        preprocessing_hash="def",
        answer="last",
        seed=0,
        held_out_mae_years=3.6,
        rows=tuple(rows() if made is None else made),
    )
