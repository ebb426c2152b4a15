"""What a panel shows: for every method the mean over its seeds, as table, CSV and JSON."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.reporting.csv_text import csv_text
from brainage.reporting.formatting import decimals
from brainage.workflows.images.fit import ImageFit

MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One method. Errors are means over seeds in per cent, ``sd`` the standard deviation of theirs.

    ``epoch_seconds`` and ``peak_memory_bytes`` are medians over seeds. Numbers are None where no
    fit has them.
    """

    method: str
    candidate: str
    seeds: int
    failed: int
    error_percent: float | None
    sd: float | None
    validation_error_percent: float | None
    train_error_percent: float | None
    ensemble_error_percent: float | None
    error_percent_by_block: dict[str, float]
    epoch_seconds: float | None
    peak_memory_bytes: int | None
    parameters: int | None


@dataclass(frozen=True, kw_only=True)
class PanelSummary:
    """Result of ``brainage benchmark images``; ``panel.json`` holds the same and every fit."""

    run_dir: Path
    data: str
    note: str
    scale: str
    """``full``, or ``reduced:`` with what is smaller than in the published experiment."""

    sizes: dict[str, int]
    epochs: int
    device: str
    rows: tuple[MethodRow, ...]
    fits: tuple[ImageFit, ...]
    mlflow_run_id: str | None

    @property
    def exit_code(self) -> int:
        """0, or 1 when a fit failed."""
        return 1 if any(row.failed for row in self.rows) else 0

    def describe(self) -> list[str]:
        """A table for people."""
        width = max(len(row.method) for row in self.rows)
        sizes = ", ".join(f"{count:,} {part}" for part, count in self.sizes.items())
        lines = [
            f"{self.data}: {self.note}",
            f"scale: {self.scale}; {sizes} images; {self.epochs} epochs; {self.device}",
            "test error in per cent, mean and standard deviation over seeds; the last epoch's "
            "network unless it stops early",
            "",
            f"{'':<{width}} {'error %':>15} {'validation':>11} {'ensemble':>9} {'epoch, s':>9} "
            f"{'memory, MiB':>12} {'seeds':>6}",
        ]
        for row in self.rows:
            spread = "" if row.sd is None else f" ± {row.sd:.2f}"
            memory = None if row.peak_memory_bytes is None else row.peak_memory_bytes / MEBIBYTE
            lines.append(
                f"{row.method:<{width}} {decimals(row.error_percent) + spread:>15} "
                f"{decimals(row.validation_error_percent):>11} "
                f"{decimals(row.ensemble_error_percent):>9} {decimals(row.epoch_seconds):>9} "
                f"{decimals(memory, 0):>12} {row.seeds - row.failed:>6}"
            )
        failures = [f"failed: {f.method}, seed {f.seed}: {f.reason}" for f in self.fits if f.failed]
        return [*lines, "", *failures, f"folder: {self.run_dir}"]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "run_dir": str(self.run_dir),
            "data": self.data,
            "note": self.note,
            "scale": self.scale,
            "sizes": self.sizes,
            "epochs": self.epochs,
            "device": self.device,
            "mlflow_run_id": self.mlflow_run_id,
            "rows": [asdict(row) for row in self.rows],
        }


def method_row(method: str, fits: Sequence[ImageFit]) -> MethodRow:
    """The row of a method from the fits of all its seeds."""
    done = [fit for fit in fits if not fit.failed]
    blocks = sorted({block for fit in done for block in fit.error_percent_by_block}, key=int)
    return MethodRow(
        method=method,
        candidate=fits[0].candidate,
        seeds=len(fits),
        failed=len(fits) - len(done),
        error_percent=_mean([fit.test_error_percent for fit in done]),
        sd=_deviation([fit.test_error_percent for fit in done]),
        validation_error_percent=_mean([fit.validation_error_percent for fit in done]),
        train_error_percent=_mean([fit.train_error_percent for fit in done]),
        ensemble_error_percent=_mean([fit.ensemble_error_percent for fit in done]),
        error_percent_by_block={
            block: mean
            for block in blocks
            if (mean := _mean([fit.error_percent_by_block.get(block) for fit in done])) is not None
        },
        epoch_seconds=_median([fit.epoch_seconds for fit in done]),
        peak_memory_bytes=_whole(_median([fit.peak_memory_bytes for fit in done])),
        parameters=sum(done[0].parameters.values()) if done else None,
    )


def devices_of(fits: Sequence[ImageFit]) -> str:
    """Every device that fits were trained on; empty if none is known."""
    return " and ".join(sorted({fit.device for fit in fits if fit.device}))


def panel_csv(rows: Sequence[MethodRow]) -> str:
    """The rows as CSV text; every block's error has a column."""
    blocks = sorted({block for row in rows for block in row.error_percent_by_block}, key=int)
    entries = []
    for row in rows:
        entry = asdict(row)
        by_block = entry.pop("error_percent_by_block")
        entries.append(entry | {f"block{k}_error_percent": by_block.get(k) for k in blocks})
    return csv_text(entries)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return round(statistics.mean(known), 4) if known else None


def _deviation(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return round(statistics.stdev(known), 4) if len(known) > 1 else None


def _median(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return statistics.median(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
