"""One fit of one arm as a row that outlives the process: predictions, curves, and how it ended."""

import json
import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainage.config.compare import BASELINES
from brainage.config.load import config_hash
from brainage.config.run import RunConfig
from brainage.core.trainer import epoch_seconds
from brainage.core.types import Recorder
from brainage.data.splits import Split
from brainage.errors import RunFolderError, TrainingError
from brainage.workflows.train.baselines import METHODS, BaselineData, baseline_ages
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.fitting import Fit, fit_split
from brainage.workflows.train.run_folder import write_text

LAST = "last"
"""The answer of the output block, which is the network's."""
ENSEMBLE = "ensemble"
"""What all blocks say together."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FitRow:
    """One arm, seed and fold; a file in the comparison's folder.

    ``fold`` counts from 1. ``scans`` are the tested scans as indices into the cohort that the
    ``fingerprint`` names, ``predicted`` their ages in years by answer (``last``, ``block1``, ...,
    ``ensemble``; of the baselines their names). ``history`` has for each epoch the validation
    errors and ``train/loss`` with ``seconds``: training so far by this fit's own clock, without
    validation and checkpoints. ``kept_epoch`` is the one whose weights early stopping kept, None
    without it. ``reason`` says why a fit failed, and is empty otherwise.
    """

    arm: str
    seed: int
    fold: int
    fingerprint: str
    scans: list[int]
    predicted: dict[str, list[float]] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    num_training_scans: int = 0
    kept_epoch: int | None = None
    step_seconds: float | None = None
    parameters: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the fit gave no predictions."""
        return bool(self.reason)

    def validation_curve(self, answer: str = LAST) -> list[tuple[int, float]]:
        """(epochs, validation MAE in years), where the epoch was validated."""
        name = "val/mae_years" if answer == LAST else f"val/{answer}/mae_years"
        return [(int(entry["epoch"]), entry[name]) for entry in self.history if name in entry]

    @property
    def final_validation_mae_years(self) -> float | None:
        """Validation MAE of the weights that predict the tested scans; None if not validated."""
        curve = dict(self.validation_curve())
        if not curve:
            return None
        kept = max(curve) if self.kept_epoch is None else self.kept_epoch
        return curve.get(kept)

    def epochs_to(self, target_mae_years: float) -> int | None:
        """Epochs until the validation MAE is first at or below a target; None if never."""
        return next(
            (epoch for epoch, mae in self.validation_curve() if mae <= target_mae_years), None
        )

    def seconds_after(self, epochs: int) -> float:
        """Training seconds of the first epochs, by this fit's own clock."""
        return self.history[epochs - 1]["seconds"]


class RowStore:
    """The rows that are done, one file each.

    Args:
        folder: made when the first row is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, arm: str, seed: int, fold: int) -> Path:
        """Where a row lies."""
        return self.folder / f"{arm}-seed{seed}-fold{fold}.json"

    def load(
        self, arm: str, seed: int, fold: int, fingerprint: str, tested: Sequence[int]
    ) -> FitRow | None:
        """The row, or None where it has to be made: again if it is of other scans, or damaged."""
        path = self.path(arm, seed, fold)
        if not path.exists():
            return None
        try:
            row = FitRow(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            _log.warning("%s: damaged, the fit is done again: %s", path, error)
            return None
        if row.fingerprint != fingerprint or row.scans != list(tested):
            _log.warning("%s: of other scans or settings, the fit is done again", path)
            return None
        return row

    def keep(self, row: FitRow) -> None:
        """Write the row; it is there whole or not at all.

        Raises:
            RunFolderError: if it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.folder}: cannot create it: {error.strerror}") from error
        text = json.dumps(asdict(row), allow_nan=False)
        write_text(self.path(row.arm, row.seed, row.fold), text + "\n")


def fit_fingerprint(config: RunConfig, cohort: Cohort) -> str:
    """Identifies an arm's settings with its seed on these very volumes and ages."""
    return cohort.fingerprint(config_hash(config))


def fit_arm(
    config: RunConfig,
    cohort: Cohort,
    split: Split,
    *,
    arm: str,
    fold: int,
    part: str,
    checkpoints: Path,
    recorder: Recorder,
) -> FitRow:
    """Train one arm on one part, or find out that it cannot be trained there.

    Args:
        config: the arm's configuration with the seed.
        cohort: preprocessed volumes and ages.
        split: indices into the cohort.
        arm: its name.
        fold: which part, from 1.
        part: what ``brainage train`` calls this part, so that weights and order are the same.
        checkpoints: folder in which an interrupted fit is continued; removed when it is done.
        recorder: receives the metrics of every epoch.

    Raises:
        BrainageError: except for training that diverges, which is a row.
    """
    identity: dict[str, Any] = {
        "arm": arm,
        "seed": config.seed,
        "fold": fold,
        "fingerprint": fit_fingerprint(config, cohort),
        "scans": list(split.test),
        "num_training_scans": len(split.train),
    }
    try:
        fit = fit_split(
            config,
            cohort,
            split,
            name=part,
            checkpoints=checkpoints,
            fingerprint=identity["fingerprint"],
            recorder=recorder,
        )
    except (TrainingError, torch.OutOfMemoryError) as error:
        shutil.rmtree(checkpoints, ignore_errors=True)
        return FitRow(**identity, reason=str(error).splitlines()[0])
    shutil.rmtree(checkpoints, ignore_errors=True)
    predicted = _answers(fit)
    if not all(math.isfinite(age) for ages in predicted.values() for age in ages):
        return FitRow(**identity, reason="some predicted ages are no numbers")
    return FitRow(
        **identity,
        predicted=predicted,
        history=_history(fit.result.history, len(split.train)),
        kept_epoch=fit.result.best_epoch,
        step_seconds=fit.result.step_seconds,
        parameters=fit.chain.parameter_counts(),
    )


def baseline_row(
    data: BaselineData, split: Split, *, seed: int, fold: int, fingerprint: str
) -> FitRow:
    """What other methods say of a part's test scans, and the mean age of its training scans.

    Raises:
        CohortError: if a baseline cannot learn from these scans.
    """
    mean = float(data.cohort.ages_years[list(split.train)].mean())
    found = {METHODS[name].label: ages for name, ages in baseline_ages(data, split).items()}
    return FitRow(
        arm=BASELINES,
        seed=seed,
        fold=fold,
        fingerprint=fingerprint,
        scans=list(split.test),
        predicted={
            **{name: [float(age) for age in ages] for name, ages in found.items()},
            "training mean": [mean] * len(split.test),
        },
    )


def _answers(fit: Fit) -> dict[str, list[float]]:
    by_block = fit.test_ages_by_block
    answers = {LAST: by_block[max(by_block)]}
    answers |= {f"block{block}": ages for block, ages in by_block.items()}
    if fit.test_ensemble_ages is not None:
        answers[ENSEMBLE] = fit.test_ensemble_ages
    return {name: [float(age) for age in np.asarray(ages)] for name, ages in answers.items()}


def _history(entries: Sequence[dict[str, float]], num_samples: int) -> list[dict[str, float]]:
    """What curves need, with the training seconds so far."""
    seconds, kept = 0.0, []
    for entry in entries:
        seconds += epoch_seconds(entry, num_samples) or 0.0
        validated = {
            name: value
            for name, value in entry.items()
            if name.startswith("val/") and name.endswith("mae_years") and math.isfinite(value)
        }
        # A rule without a loss of the whole network has those of its blocks.
        losses = {"train/loss": entry["train/loss"]} if "train/loss" in entry else {}
        kept.append(
            {"epoch": entry["train/epoch"], "seconds": seconds, **losses, **validated},
        )
    return kept
