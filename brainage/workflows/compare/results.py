"""From rows of fits to what a comparison says: errors, differences, times, tables."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from brainage.bundle.answer import block_of
from brainage.config.compare import CompareConfig
from brainage.config.run import RunConfig
from brainage.core.config import LEADER_FOLLOWER_RULES
from brainage.core.partition import stage_counts
from brainage.reporting.comparison import (
    ArmCost,
    ArmResult,
    BaselineResult,
    Contrast,
    CurvePoint,
)
from brainage.reporting.comparison_statistics import (
    mean_over_seeds,
    mean_with_interval,
    paired_difference,
)
from brainage.reporting.estimates import Estimate
from brainage.workflows.compare.fit import ENSEMBLE, LAST, FitRow
from brainage.workflows.train.cohort import Cohort

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """All rows of a comparison, and what follows from them.

    ``arms`` are the arms' configurations, ``rows`` their fits, ``baselines`` rows with the
    baselines' names as answers, ``costs`` what a step of each arm takes, where measured.
    """

    config: CompareConfig
    arms: Mapping[str, RunConfig]
    cohort: Cohort
    rows: Sequence[FitRow]
    baselines: Sequence[FitRow]
    costs: Mapping[str, ArmCost]

    def of_arm(self, name: str) -> list[FitRow]:
        """The fits of one arm."""
        return [row for row in self.rows if row.arm == name]

    def steps_per_epoch(self, row: FitRow) -> int:
        """Training steps of an epoch."""
        return math.ceil(row.num_training_scans / self.arms[row.arm].trainer.batch_size)

    def seconds_after(self, row: FitRow, epochs: int) -> float:
        """Training time of so many epochs: of steps measured in turn, else by the fit's clock."""
        cost = self.costs.get(row.arm)
        if cost is None:
            return row.seconds_after(epochs)
        return epochs * self.steps_per_epoch(row) * cost.step_seconds

    def target_of(self, row: FitRow) -> float | None:
        """The validation MAE that a fit's time is measured to, the same for all arms."""
        if self.config.target_mae_years is not None:
            return self.config.target_mae_years
        return self._reached_by_all.get((row.seed, row.fold))

    @cached_property
    def _reached_by_all(self) -> dict[tuple[int, int], float]:
        """The largest final validation error of all arms in each seed and fold."""
        worst: dict[tuple[int, int], float] = {}
        for row in self.rows:
            final = row.final_validation_mae_years
            if final is not None:
                key = (row.seed, row.fold)
                worst[key] = max(worst.get(key, 0.0), final)
        return worst

    def epochs_to_target(self, row: FitRow) -> int | None:
        """Epochs until the target is reached; None if never, or if the fit failed."""
        target = self.target_of(row)
        return None if target is None or row.failed else row.epochs_to(target)

    def seconds_to_target(self, row: FitRow) -> float | None:
        """Training time until then."""
        epochs = self.epochs_to_target(row)
        return None if epochs is None else self.seconds_after(row, epochs)

    def mae_of(self, row: FitRow, answer: str = LAST) -> float | None:
        """MAE of a fit's tested scans in years; None if it failed."""
        if row.failed:
            return None
        return float(np.abs(np.array(row.predicted[answer]) - self._ages[row.scans]).mean())

    @cached_property
    def _ages(self) -> Floats:
        return self.cohort.ages_years.astype(np.float64)

    @cached_property
    def tested(self) -> npt.NDArray[np.intp]:
        """Scans that some fit tested, as indices into the cohort."""
        scans = {scan for row in self.baselines for scan in row.scans}
        return np.array(sorted(scans), dtype=np.intp)

    @cached_property
    def subjects(self) -> list[str]:
        """Who the tested scans are of."""
        return [self.cohort.records[index].subject for index in self.tested]

    def errors(self, rows: Sequence[FitRow], answer: str) -> Floats:
        """Absolute errors (seeds, tested scans) in years; NaN where a seed did not test a scan."""
        seeds = self.config.seeds
        errors = np.full((len(seeds), len(self._ages)), np.nan)
        for row in rows:
            predicted = np.array(row.predicted[answer])
            errors[seeds.index(row.seed), row.scans] = np.abs(predicted - self._ages[row.scans])
        tested: Floats = errors[:, self.tested]
        return tested

    def arm_result(self, name: str) -> ArmResult:
        """One arm over all its fits."""
        rows, config = self.of_arm(name), self.arms[name]
        done = [row for row in rows if not row.failed]
        result = ArmResult(
            name=name,
            objective=config.objective.name,
            num_blocks=config.blocks.num_blocks,
            leader_fraction=leader_fraction_of(config),
            num_fits=len(rows),
            failures=tuple(f"seed {r.seed}, fold {r.fold}: {r.reason}" for r in rows if r.failed),
            cost=self.costs.get(name),
            parameters=done[0].parameters if done else {},
            curve=tuple(self._curve(done)),
            epochs_to_target=median_or_none([self.epochs_to_target(row) for row in rows]),
            seconds_to_target=median_or_none([self.seconds_to_target(row) for row in rows]),
            num_reached=sum(self.epochs_to_target(row) is not None for row in rows),
        )
        return result if result.failures else self._with_errors(result, done)

    def _with_errors(self, result: ArmResult, rows: Sequence[FitRow]) -> ArmResult:
        answers = rows[0].predicted
        blocks = sorted(block for each in answers if (block := block_of(each)) is not None)
        config = self.arms[result.name]
        ends = np.cumsum(stage_counts(config.backbone.num_stages, config.blocks))
        errors = self.errors(rows, LAST)
        finals = [mae for row in rows if (mae := row.final_validation_mae_years) is not None]
        return replace(
            result,
            mae_years=self._mean(errors),
            mae_by_seed=tuple(float(np.nanmean(of_seed)) for of_seed in errors),
            ensemble_mae_years=(
                self._mean(self.errors(rows, ENSEMBLE)) if ENSEMBLE in answers else None
            ),
            block_ends=tuple(int(ends[block - 1]) for block in blocks),
            block_mae_years=tuple(
                float(mean_over_seeds(self.errors(rows, f"block{block}")).mean())
                for block in blocks
            ),
            validation_mae_years=statistics.mean(finals) if finals else None,
        )

    def _mean(self, errors: Floats) -> Estimate:
        return mean_with_interval(mean_over_seeds(errors), self.subjects)

    def _curve(self, rows: Sequence[FitRow]) -> list[CurvePoint]:
        """Validation error after each epoch, mean over the fits that validated then."""
        curves = [(row, dict(row.validation_curve())) for row in rows]
        if not curves:
            return []
        shared = sorted(set.intersection(*(set(curve) for _, curve in curves)))
        return [
            CurvePoint(
                epoch=epoch,
                seconds=statistics.mean(self.seconds_after(row, epoch) for row, _ in curves),
                mae_years=statistics.mean(curve[epoch] for _, curve in curves),
            )
            for epoch in shared
        ]

    def baseline_results(self) -> list[BaselineResult]:
        """The other methods on the same scans and parts."""
        found = []
        for name in self.baselines[0].predicted:
            errors = self.errors(self.baselines, name)
            by_seed = tuple(float(np.nanmean(of_seed)) for of_seed in errors)
            found.append(
                BaselineResult(name=name, mae_years=self._mean(errors), mae_by_seed=by_seed)
            )
        return found

    def contrasts(self) -> list[Contrast]:
        """Every arm against the reference, its ensemble too, then against the baselines.

        Arms of which a fit failed have none: their scans are not those of the others.
        """
        reference = self.config.reference
        whole = [name for name in self.arms if not any(row.failed for row in self.of_arm(name))]
        means = {name: self._scan_errors(self.of_arm(name), LAST) for name in whole}
        found = []
        if reference in means:
            for name in whole:
                rows = self.of_arm(name)
                if name != reference:
                    found.append(self._contrast(name, means[name], reference, means[reference]))
                if ENSEMBLE in rows[0].predicted:
                    errors = self._scan_errors(rows, ENSEMBLE)
                    label = f"{name} {ENSEMBLE}"
                    found.append(self._contrast(label, errors, reference, means[reference]))
        for baseline in self.baselines[0].predicted:
            errors = self._scan_errors(self.baselines, baseline)
            found += [self._contrast(name, means[name], baseline, errors) for name in whole]
        return found

    def _scan_errors(self, rows: Sequence[FitRow], answer: str) -> Floats:
        return mean_over_seeds(self.errors(rows, answer))

    def _contrast(self, a: str, errors_a: Floats, b: str, errors_b: Floats) -> Contrast:
        difference = paired_difference(errors_a, errors_b, self.subjects)
        return Contrast(a=a, b=b, num_scans=len(errors_a), difference_years=difference)


def median_or_none(values: Sequence[float | None]) -> float | None:
    """Median where None is later than everything; None if that is the median."""
    if not values:
        return None
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


def leader_fraction_of(config: RunConfig) -> float | None:
    """delta, or None for a rule without leaders and followers."""
    followed = config.objective.name in LEADER_FOLLOWER_RULES
    return config.objective.leader_fraction if followed else None
