"""Predictions of scans their model did not see, gathered over the fits of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.bundle.answer import block_of
from brainage.config.run import RunConfig
from brainage.data.splits import Split
from brainage.reporting.metrics import AgeMetrics, age_metrics
from brainage.reporting.run_report import Baseline, PredictedScan
from brainage.scans.record import UNKNOWN
from brainage.scans.table import csv_lines
from brainage.workflows.train.baselines import METHODS, baseline_ages, prepare_baselines
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.fitting import Fit


@dataclass(frozen=True)
class HeldOut:
    """One row per held-out scan, in the cohort's order.

    ``indices`` point into the cohort; ages are in years. ``ages_by_block`` maps a block's number,
    from 1, to its predictions, of the blocks that every fold's network has; ``predicted_age`` is
    the networks' answer, that of their last block.
    ``baseline_ages`` maps the name of a baseline, one of ``METHODS``, to its predictions.
    ``ensemble_age`` is what all blocks say together, where several predict.
    """

    cohort: Cohort
    indices: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]
    predicted_age: npt.NDArray[np.float64]
    training_mean_years: npt.NDArray[np.float64]
    baseline_ages: dict[str, npt.NDArray[np.float64]]
    ages_by_block: dict[int, npt.NDArray[np.float64]]
    ensemble_age: npt.NDArray[np.float64] | None = None

    @property
    def age_years(self) -> npt.NDArray[np.float64]:
        """Chronological ages."""
        return self.cohort.ages_years[self.indices].astype(np.float64)

    @property
    def subjects(self) -> list[str]:
        """Who each scan is of."""
        return [self.cohort.records[index].subject for index in self.indices]

    def metrics(self) -> AgeMetrics:
        """Uncorrected accuracy beside predicting the training mean."""
        return self._metrics_of(self.predicted_age)

    def block_mae_years(self) -> dict[str, float]:
        """MAE of each block's own prediction, and of their ensemble."""
        return {
            name: float(np.abs(ages - self.age_years).mean())
            for name, ages in self._answers("block {}").items()
        }

    def _answers(self, block_name: str) -> dict[str, npt.NDArray[np.float64]]:
        """Predictions of every block, named after the pattern, and of their ensemble."""
        answers = {block_name.format(k): ages for k, ages in self.ages_by_block.items()}
        return answers if self.ensemble_age is None else {**answers, "ensemble": self.ensemble_age}

    def by_site(self) -> dict[str, dict[str, float]]:
        """For each site its number of scans, and the MAE there of network and baselines."""
        sites = np.array([self.cohort.records[i].site or UNKNOWN for i in self.indices])
        answers = {"mae_years": self.predicted_age} | {
            f"mae_{name}_years": ages for name, ages in self.baseline_ages.items()
        }
        gaps = {name: np.abs(ages - self.age_years) for name, ages in answers.items()}
        return {
            str(site): {
                "n": float((sites == site).sum()),
                **{name: float(gap[sites == site].mean()) for name, gap in gaps.items()},
            }
            for site in np.unique(sites)
        }

    def baselines(self) -> tuple[Baseline, ...]:
        """Other methods on the same scans."""
        found = []
        for name, ages in self.baseline_ages.items():
            mae = self._metrics_of(ages).mae_years
            assert mae.value is not None
            method = METHODS[name]
            found.append(
                Baseline(
                    name=method.label,
                    mae_years=mae.value,
                    low=mae.low,
                    high=mae.high,
                    note=method.note,
                )
            )
        return tuple(found)

    def rows(self, *, folds: bool) -> tuple[PredictedScan, ...]:
        """One row per scan for the report."""
        records = [self.cohort.records[index] for index in self.indices]
        return tuple(
            PredictedScan(
                scan=str(record.scan),
                subject=record.subject,
                age_years=float(age),
                predicted_age=float(predicted),
                sex=record.sex,
                site=record.site,
                fold=int(fold) if folds else None,
                training_mean_age_years=float(mean),
            )
            for record, age, predicted, fold, mean in zip(
                records,
                self.age_years,
                self.predicted_age,
                self.folds,
                self.training_mean_years,
                strict=True,
            )
        )

    def csv(self) -> str:
        """The same rows with every block's prediction, as CSV text."""
        answers = self._answers("block{}")
        rows: list[list[object]] = [
            ["scan", "subject", "session", "sex", "site", "fold", "age_years", "predicted_age",
             "brain_age_gap", "training_mean_age_years",
             *(f"{name}_age" for name in self.baseline_ages),
             *(f"{answer}_predicted_age" for answer in answers)]
        ]  # fmt: skip
        for row, index in enumerate(self.indices):
            record = self.cohort.records[index]
            numbers = [
                self.age_years[row],
                self.predicted_age[row],
                self.predicted_age[row] - self.age_years[row],
                self.training_mean_years[row],
                *(ages[row] for ages in self.baseline_ages.values()),
                *(ages[row] for ages in answers.values()),
            ]
            names = [record.scan, record.subject, record.session, record.sex, record.site]
            rows.append([*names, self.folds[row] + 1, *(f"{value:.4f}" for value in numbers)])
        return csv_lines(rows)

    def _metrics_of(self, predicted: npt.NDArray[np.float64]) -> AgeMetrics:
        return age_metrics(
            self.age_years,
            predicted,
            subjects=self.subjects,
            training_mean_age_years=self.training_mean_years,
        )


def gather(
    config: RunConfig, cohort: Cohort, splits: Mapping[str, Split], fits: Mapping[str, Fit]
) -> HeldOut:
    """Collect the test predictions of every fit that has some, with baselines on its split.

    Raises:
        CohortError: if a baseline cannot learn from these scans.
    """
    baselines = prepare_baselines(config, cohort)
    parts: list[dict[str, npt.NDArray[np.float64]]] = []
    tested = [name for name, split in splits.items() if split.test]
    for fold, name in enumerate(tested):
        split, fit = splits[name], fits[name]
        size = len(split.test)
        answers = {f"block{k}": ages for k, ages in fit.test_ages_by_block.items()}
        if fit.test_ensemble_ages is not None:
            answers["ensemble"] = fit.test_ensemble_ages
        parts.append(
            {
                "index": np.array(split.test, dtype=np.float64),
                "fold": np.full(size, float(fold)),
                "mean": np.full(size, fit.training_mean_age_years),
                "answer": fit.test_answer_years,
                **answers,
                **baseline_ages(baselines, split),
            }
        )
    # Folds that chose other networks may have other blocks: told are those that all have.
    shared = [key for key in parts[0] if all(key in part for part in parts)]
    columns = {key: np.concatenate([part[key] for part in parts]) for key in shared}
    order = np.argsort(columns["index"], kind="stable")
    columns = {key: values[order] for key, values in columns.items()}
    by_block = {
        block: values for key, values in columns.items() if (block := block_of(key)) is not None
    }
    return HeldOut(
        cohort=cohort,
        indices=columns["index"].astype(np.int64),
        folds=columns["fold"].astype(np.int64),
        predicted_age=columns["answer"],
        training_mean_years=columns["mean"],
        baseline_ages={name: columns[name] for name in METHODS},
        ages_by_block=by_block,
        ensemble_age=columns.get("ensemble"),
    )
