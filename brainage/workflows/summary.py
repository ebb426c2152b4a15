"""What commands return: one JSON object and an exit code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brainage.reporting.counts import counted


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """Result of ``brainage train``; ``metrics.json`` holds the same.

    ``failed_scans`` could not be used, of the cohort and of the scans that are only predicted.
    ``test`` has the held-out metrics (of the test split, or out of fold), ``baselines`` the error
    of other methods on the same scans, ``seconds`` the wall clock of ``preprocess``, ``train`` and
    ``evaluate``. ``kept`` counts the networks of the model and the views they are asked about.
    ``repeats`` has the error of every repeat by itself, ``search`` what each part chose and by
    which errors of its inner folds, ``epochs`` the epoch whose weights a part has, where those are
    not the last of all.
    """

    run_dir: Path
    model_dir: Path
    objective: str
    num_blocks: int
    split_sizes: dict[str, int]
    test: dict[str, float | int | None]
    block_mae_years: dict[str, float]
    by_site: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float | None]]
    failed_scans: int
    seconds: dict[str, float]
    step_seconds: float | None
    peak_memory_bytes: int
    parameters: dict[str, int]
    mlflow_run_id: str | None
    kept: dict[str, int]
    repeats: dict[str, Any] | None = None
    search: dict[str, dict[str, Any]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan could not be used."""
        return 1 if self.failed_scans else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        test = self.test
        mean = {key: test[f"mae_mean_baseline_{key}"] for key in ("years", "low", "high")}
        others = {
            "predicting the training mean": {f"mae_{key}": value for key, value in mean.items()},
            **self.baselines,
        }
        return [
            f"run_dir: {self.run_dir}",
            f"held-out error: {_years(test['mae_years'])} "
            f"({_interval(test, '; ')}MAE, uncorrected, n = {test['n']})",
            *(
                f"{name}: {_years(values['mae_years'])}{_in_brackets(_interval(values))}"
                for name, values in others.items()
            ),
            *self._repeats(),
            *self._chosen(),
            *self._stopped(),
            *(f"{_answer(name)}: {_years(value)}" for name, value in self.block_mae_years.items()),
            f"scans: {self._parts()}; {self.failed_scans} could not be used",
            f"time: {', '.join(f'{name} {value:.0f} s' for name, value in self.seconds.items())}; "
            f"peak memory {self.peak_memory_bytes / 1e9:.1f} GB",
            f"model: {self.model_dir}",
            f"report: {self.run_dir / 'report.html'}",
        ]

    def _repeats(self) -> list[str]:
        if self.repeats is None:
            return []
        number, mean = len(self.repeats["mae_years"]), self.repeats["mae_years_mean"]
        spread = self.repeats["mae_years_sd"]
        return [f"one of {number} repeats alone: {mean:.2f} years, sd {spread:.2f}"]

    def _chosen(self) -> list[str]:
        chosen = [f"{name} {each['chosen']}" for name, each in self.search.items()]
        return [f"chosen by inner folds: {', '.join(chosen)}"] if chosen else []

    def _stopped(self) -> list[str]:
        taken = [f"{name} {epoch}" for name, epoch in self.epochs.items()]
        return [f"early stopping took the weights of epoch: {', '.join(taken)}"] if taken else []

    def _parts(self) -> str:
        if "train" in self.split_sizes:
            return ", ".join(f"{size} {part}" for part, size in self.split_sizes.items())
        return f"{sum(self.split_sizes.values())} in {len(self.split_sizes)} folds"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return _plain(asdict(self))


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """Result of ``brainage predict``.

    ``skipped`` rows were kept from an interrupted call, ``failed_before`` of them as failed;
    ``ok`` and ``failed`` count the others. ``flagged`` of all rows are worth a look.
    """

    rows: int
    ok: int
    failed: int
    skipped: int
    failed_before: int
    flagged: int = 0
    seconds_per_scan: float | None
    out: Path

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan failed, in this call or before."""
        return 1 if self.failed or self.failed_before else 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        kept = f", {self.skipped} kept from before" if self.skipped else ""
        kept += f" ({self.failed_before} of them failed)" if self.failed_before else ""
        lines = [f"scans: {self.rows}; {self.ok} predicted, {self.failed} failed{kept}"]
        if self.flagged:
            lines.append(f"worth a look: {counted(self.flagged, 'scan')}, see the column qc_flags")
        if self.seconds_per_scan is not None:
            lines.append(f"time: {self.seconds_per_scan:.1f} s a scan")
        return [*lines, f"table: {self.out}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return _plain(asdict(self))


def _answer(name: str) -> str:
    """A block answers alone; their ensemble does not."""
    return "all blocks together" if name == "ensemble" else f"{name} alone"


def _interval(values: Mapping[str, float | int | None], behind: str = "") -> str:
    low, high = values["mae_low"], values["mae_high"]
    if low is None or high is None:  # too few subjects to resample
        return ""
    return f"95 % interval {low:.2f} to {high:.2f}{behind}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _years(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} years"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
