"""What a run knows when training is over."""

from collections.abc import Mapping
from dataclasses import dataclass

from brainage.config.run import RunConfig
from brainage.tracking.recorders import RunRecord
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.fitting import Fit
from brainage.workflows.train.held_out import HeldOut
from brainage.workflows.train.plan_fits import PlannedFit
from brainage.workflows.train.repeats import Repeats
from brainage.workflows.train.run_folder import RunFolder


@dataclass(frozen=True)
class FinishedRun:
    """Everything a run knows when training is over.

    ``planned`` and ``fits`` are of the same parts, with indices into the cohort.
    """

    config: RunConfig
    cohort: Cohort
    planned: tuple[PlannedFit, ...]
    fits: Mapping[str, Fit]
    repeats: Repeats
    folder: RunFolder
    record: RunRecord
    seconds: Mapping[str, float]

    @property
    def held_out(self) -> HeldOut:
        """Predictions of the held-out scans, over all repeats."""
        return self.repeats.mean

    @property
    def kept_parts(self) -> tuple[PlannedFit, ...]:
        """The parts whose networks become the model."""
        return self.planned if self.config.inference.kept == "folds" else self.planned[-1:]

    @property
    def kept(self) -> Fit:
        """The first of their fits; the only one unless the networks of all folds are kept."""
        return self.fits[self.kept_parts[0].name]

    @property
    def training(self) -> list[int]:
        """Scans that any of the kept networks was trained on, as indices into the cohort."""
        return sorted({index for part in self.kept_parts for index in part.split.train})

    @property
    def split_sizes(self) -> dict[str, int]:
        """Scans in each part, or tested by each fold of one repeat."""
        if self.config.split.has_folds:
            tested = [part for part in self.planned if part.repeat == 0 and part.split.test]
            return {part.label: len(part.split.test) for part in tested}
        split = self.planned[0].split
        return {
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        }

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs after which the weights of each part were taken, where those were not all."""
        found = {name: fit.result.best_epoch or fit.stop_after for name, fit in self.fits.items()}
        return {name: epoch for name, epoch in found.items() if epoch is not None}
