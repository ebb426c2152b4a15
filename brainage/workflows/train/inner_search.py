"""Nested cross-validation: a candidate is chosen by folds within the training part alone.

Every inner fit leaves a small file behind: its error over the scans that it left out. A run that
goes on does not train it again. The scans that the outer part tests are in none of the inner folds.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from brainage.config.load import config_hash
from brainage.config.run import RunConfig
from brainage.core.ranks import Ranks, first_of_all
from brainage.core.types import Recorder
from brainage.data.splits import Split
from brainage.workflows.train.audience import Audience
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.epochs import median_epoch
from brainage.workflows.train.fitting import Choice, Fit, fit_split
from brainage.workflows.train.plan_fits import PlannedFit
from brainage.workflows.train.run_folder import write_text


@dataclass(frozen=True)
class InnerResult:
    """What is kept of one inner fit: its error in years over ``n`` scans it left out."""

    fingerprint: str
    n: int
    mae_years: float
    best_epoch: int | None


@dataclass(frozen=True)
class Search:
    """What the inner fits of a run share.

    ``candidates`` maps names to configurations; ``ranks`` train together, and all of them search.
    """

    candidates: dict[str, RunConfig]
    cohort: Cohort
    ranks: Ranks
    audience: Audience

    def choose(self, part: PlannedFit, checkpoints: Path, recorder: Recorder) -> Choice:
        """The candidate with the lowest error over the inner folds; the first of equally good ones.

        Args:
            part: with inner folds.
            checkpoints: folder of the part's checkpoints.
            recorder: hears of every inner fit and of the choice.
        """
        scores: dict[str, float] = {}
        epochs: dict[str, int | None] = {}
        for name in self.candidates:
            results = []
            for number in range(len(part.inner)):
                result = self._result(part, number, name, checkpoints)
                results.append(result)
                recorder.event(
                    "inner_fit",
                    candidate=name,
                    inner_fold=number + 1,
                    mae_years=result.mae_years,
                    best_epoch=result.best_epoch,
                )
            scores[name] = _over_all_scans(results)
            epochs[name] = median_epoch([result.best_epoch for result in results])
        chosen = min(scores, key=lambda name: scores[name])
        recorder.event(
            "candidate_chosen",
            candidate=chosen,
            mae_years=json.dumps({name: round(score, 4) for name, score in scores.items()}),
            stop_after=epochs[chosen],
        )
        return Choice(chosen, scores, epochs[chosen])

    def _result(self, part: PlannedFit, number: int, name: str, checkpoints: Path) -> InnerResult:
        """Of one inner fit, which is trained unless it has been."""
        config = self.candidates[name]
        fold = f"inner{number + 1}"
        folder = checkpoints / "inner" / name / fold
        kept = folder.with_name(f"{fold}.json")
        fingerprint = self.cohort.fingerprint(config_hash(config))
        known = first_of_all(self.ranks, partial(_read, kept, f"{fingerprint}/{part.name}/{fold}"))
        if known is not None:
            return known
        split = _split_for(config, part.inner[number])
        label = f"{part.name}, {name}, inner fold {number + 1}"
        with self.audience.of_fit(label, len(split.train), config.total_epochs) as listener:
            fit = fit_split(
                config,
                self.cohort,
                split,
                name=f"{part.name}/{fold}",
                checkpoints=folder,
                fingerprint=fingerprint,
                recorder=listener,
                ranks=self.ranks,
            )
        result = InnerResult(
            f"{fingerprint}/{part.name}/{fold}",
            len(split.test),
            _mae_years(self.cohort, split, fit),
            fit.result.best_epoch,
        )
        first_of_all(self.ranks, partial(_keep, kept, result, folder))
        return result


def _split_for(config: RunConfig, split: Split) -> Split:
    """An inner fold validates only where that decides when to stop."""
    if config.trainer.early_stopping is not None:
        return split
    return Split(tuple(sorted((*split.train, *split.validation))), (), split.test)


def _mae_years(cohort: Cohort, split: Split, fit: Fit) -> float:
    ages = cohort.ages_years[list(split.test)].astype(np.float64)
    return float(np.abs(fit.test_answer_years - ages).mean())


def _over_all_scans(results: Sequence[InnerResult]) -> float:
    """MAE over the scans of all inner folds together."""
    return sum(each.mae_years * each.n for each in results) / sum(each.n for each in results)


def _read(path: Path, fingerprint: str) -> InnerResult | None:
    """A finished inner fit; none where it is not finished, or the file is not of this run."""
    try:
        result = InnerResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.fingerprint == fingerprint else None


def _keep(path: Path, result: InnerResult, checkpoints: Path) -> None:
    """Write the result; then its checkpoints are of no further use."""
    write_text(path, json.dumps(asdict(result)) + "\n")
    shutil.rmtree(checkpoints, ignore_errors=True)
