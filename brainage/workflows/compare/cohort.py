"""The scans that all arms of a comparison share, and the parts that each seed makes of them."""

from dataclasses import dataclass, replace

from brainage.config.compare import CompareConfig
from brainage.config.run import RunConfig
from brainage.data.splits import Split
from brainage.scans.manifest import Manifest
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.plan_fits import PlannedFit, plan_fits, usable_fits


@dataclass(frozen=True)
class Part:
    """One fold, or the only split, of one seed.

    ``fold`` counts from 1. ``name`` is what ``brainage train`` calls it, so that an arm's weights
    and order are those of a run of its own. ``prefix`` is put in front of its metrics.
    """

    fold: int
    name: str
    split: Split
    prefix: str


def plan_parts(config: CompareConfig, manifest: Manifest) -> dict[int, tuple[PlannedFit, ...]]:
    """For every seed the fits that test something, with indices into the manifest.

    Raises:
        CohortError: if there are too few subjects.
    """
    return {
        seed: tuple(
            part
            for part in plan_fits(manifest.records, replace(config.run, seed=seed))
            if part.split.test
        )
        for seed in config.seeds
    }


def usable_parts(
    planned: tuple[PlannedFit, ...], manifest: Manifest, cohort: Cohort, config: RunConfig
) -> list[Part]:
    """One seed's parts over the scans that can be used, with indices into the cohort.

    Raises:
        CohortError: if a part has lost all its scans.
    """
    parts = usable_fits(planned, manifest.records, cohort, config)
    return [
        Part(number, part.name, part.split, f"fold{number}/" if len(parts) > 1 else "")
        for number, part in enumerate(parts, start=1)
    ]
