"""What the rows of a stress test say together: by perturbation, and along doses."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from brainage.stress.row import UNTOUCHED, StressRow

DOSE_UNITS = {"ventricles": "% of their volume", "cortex": "mm"}
DOSE_TITLES = {"ventricles": "Enlarged ventricles", "cortex": "Thinned cortex"}


@dataclass(frozen=True, kw_only=True)
class DoseResponse:
    """The age of one scan along the doses of one change, the untouched scan at dose 0.

    ``slope`` is that of a least-squares line, in years per unit of dose; ``spearman`` None when
    the age does not move at all. ``is_monotone``: no dose gives a younger age than a smaller one.
    """

    scan: str
    subject: str
    perturbation: str
    doses: tuple[float, ...]
    delta_years: tuple[float, ...]
    slope: float
    spearman: float | None
    is_monotone: bool


@dataclass(frozen=True, kw_only=True)
class PerturbationSummary:
    """All levels of one perturbation on all scans; years, None where no row has an age."""

    perturbation: str
    budget_years: float | None
    rows: int
    exceeded: int
    flagged: int
    refused: int
    skipped: int
    median_abs_delta_years: float | None
    max_abs_delta_years: float | None
    worst_level: str | None


@dataclass(frozen=True, kw_only=True)
class StressResults:
    """Rows in the order in which they were made, and where they are from.

    ``held_out_mae_years`` is the model's error on people it did not see, where it is known.
    """

    model: str
    model_hash: str
    preprocessing_hash: str
    answer: str
    seed: int
    held_out_mae_years: float | None
    rows: tuple[StressRow, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by verdict."""
        return dict(Counter(row.verdict for row in self.rows))

    @property
    def num_judged(self) -> int:
        """Changes that have a budget, or should be refused, and were made."""
        return sum(
            row.verdict in {"within", "over", "flagged", "refused", "unnoticed"}
            for row in self.changes
        )

    @property
    def changes(self) -> list[StressRow]:
        """The rows of changes, without those of the untouched scans."""
        return [row for row in self.rows if row.perturbation != UNTOUCHED]

    @property
    def references(self) -> list[StressRow]:
        """The rows of the untouched scans."""
        return [row for row in self.rows if row.perturbation == UNTOUCHED]

    @property
    def num_exceeded(self) -> int:
        """Changes over their budget or unnoticed."""
        return sum(row.is_exceeded for row in self.rows)

    @property
    def num_failed(self) -> int:
        """Scans and changes that should have an age and have none."""
        return sum(row.is_failure for row in self.rows)

    @property
    def worst(self) -> StressRow | None:
        """The change over budget that moved the age farthest."""
        over = [row for row in self.rows if row.verdict == "over"]
        return max(over, key=lambda row: abs(row.delta_years or 0.0), default=None)

    def by_perturbation(self) -> list[PerturbationSummary]:
        """A summary for each perturbation with a budget or an expected refusal."""
        names = dict.fromkeys(row.perturbation for row in self.changes if row.expected != "older")
        return [
            _summary([row for row in self.changes if row.perturbation == name]) for name in names
        ]

    def dose_responses(self) -> list[DoseResponse]:
        """One for each scan and dose-response with at least two doses that led to an age."""
        found = []
        for name in dict.fromkeys(row.perturbation for row in self.rows if row.dose is not None):
            for scan in dict.fromkeys(row.scan for row in self.rows):
                rows = [
                    row
                    for row in self.rows
                    if (row.scan, row.perturbation) == (scan, name) and row.delta_years is not None
                ]
                if len(rows) > 1:
                    found.append(_dose_response(rows))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, numbers to four decimals."""
        return {
            "model": self.model,
            "model_hash": self.model_hash,
            "preprocessing_hash": self.preprocessing_hash,
            "answer": self.answer,
            "seed": self.seed,
            "held_out_mae_years": self.held_out_mae_years,
            "scans": len(self.references),
            "verdicts": self.counts,
            "by_perturbation": [_rounded(asdict(each)) for each in self.by_perturbation()],
            "dose_responses": [_rounded(asdict(each)) for each in self.dose_responses()],
            "rows": [row.to_json() for row in self.rows],
        }


def _summary(rows: Sequence[StressRow]) -> PerturbationSummary:
    known = [(abs(row.delta_years), row) for row in rows if row.delta_years is not None]
    worst = max(known, key=lambda pair: pair[0], default=None)
    verdicts = Counter(row.verdict for row in rows)
    return PerturbationSummary(
        perturbation=rows[0].perturbation,
        budget_years=rows[0].budget_years,
        rows=len(rows),
        exceeded=sum(row.is_exceeded for row in rows),
        flagged=verdicts["flagged"],
        refused=verdicts["refused"],
        skipped=verdicts["skipped"],
        median_abs_delta_years=statistics.median(each[0] for each in known) if known else None,
        max_abs_delta_years=worst[0] if worst else None,
        worst_level=worst[1].level if worst else None,
    )


def _dose_response(rows: Sequence[StressRow]) -> DoseResponse:
    points = sorted((row.dose or 0.0, row.delta_years or 0.0) for row in rows)
    doses, deltas = zip(*[(0.0, 0.0), *points], strict=True)
    moved = len(set(deltas)) > 1
    return DoseResponse(
        scan=rows[0].scan,
        subject=rows[0].subject,
        perturbation=rows[0].perturbation,
        doses=doses,
        delta_years=deltas,
        slope=float(np.polyfit(doses, deltas, 1)[0]),
        spearman=float(stats.spearmanr(doses, deltas).statistic) if moved else None,
        is_monotone=all(earlier <= later for earlier, later in pairwise(deltas)),
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _round(value) for key, value in values.items()}


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return [_round(each) for each in value] if isinstance(value, tuple) else value
