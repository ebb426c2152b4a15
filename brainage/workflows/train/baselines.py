"""What simple methods say of the scans that a fit was tested on.

They get the validation scans too, since they need none to stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.baselines.config import BaselinesConfig
from brainage.baselines.gaussian_process import gaussian_process_ages, voxel_coordinates
from brainage.baselines.harmonise import fit_harmonisation, refuse_undecided
from brainage.baselines.kernel_ridge import kernel_ridge_ages
from brainage.baselines.ridge import ridge_ages
from brainage.baselines.voxels import VoxelProducts, voxel_products
from brainage.config.run import RunConfig
from brainage.data.splits import Split
from brainage.errors import CohortError
from brainage.scans.record import UNKNOWN, ScanRecord
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.tissue_volumes import cohort_tissue_volumes

Floats = npt.NDArray[np.floating]

MOST_SCANS = 1000
"""Training scans that methods on voxels learn from: their kernels have this many squared numbers.
Of more, every so many-th in order of age is taken."""


@dataclass(frozen=True)
class Method:
    """How a baseline is called where people read of it."""

    label: str
    note: str


_ON_VOXELS = f"same preprocessed volumes, tuned on at most {MOST_SCANS} training scans"
METHODS = {
    "kernel_ridge": Method("kernel ridge on voxels", _ON_VOXELS),
    "gaussian_process": Method("Gaussian process on voxels", _ON_VOXELS),
    "tissue_ridge": Method("ridge on tissue volumes", "nine volumes and shares of each scan"),
}
"""In the order in which they are shown; a table's column is the name with ``_age`` behind it."""


@dataclass(frozen=True)
class BaselineData:
    """What the baselines learn from: the cohort's volumes, and tissue volumes (N, F)."""

    cohort: Cohort
    tissue_volumes: Floats
    config: BaselinesConfig = field(default_factory=BaselinesConfig)


def prepare_baselines(config: RunConfig, cohort: Cohort) -> BaselineData:
    """Measure every scan's tissue volumes, once for all splits.

    Raises:
        CohortError: if a finished volume has gone from the cache.
    """
    tissue = cohort_tissue_volumes(cohort.keys, config.preprocess, Path(config.data.cache_dir))
    return BaselineData(cohort, tissue, config.baselines)


def refuse_harmonisation(
    config: RunConfig, records: Sequence[ScanRecord], splits: Mapping[str, Split]
) -> None:
    """Refuse parts that cannot be harmonised where the run asks for it, before it trains.

    Raises:
        CohortError: names the part and the site.
    """
    if config.baselines.harmonise == "none":
        return
    sites = [record.site or UNKNOWN for record in records]
    for name, split in splits.items():
        if not split.test:
            continue
        known = [*split.train, *split.validation]
        ages = np.array([records[index].age_years for index in known], dtype=np.float64)
        try:
            refuse_undecided([sites[i] for i in known], ages, [sites[i] for i in split.test])
        except CohortError as error:
            raise CohortError(f"baselines.harmonise: {name}: {error}") from error


def baseline_ages(data: BaselineData, split: Split) -> dict[str, npt.NDArray[np.float64]]:
    """Ages of the test scans in years, shape (M,), by each of ``METHODS``.

    Raises:
        CohortError: if harmonisation is on and a site's scans do not allow it.
    """
    products, ages = voxel_products_of_split(data.cohort, split), data.cohort.ages_years
    learned = _at_most(data.cohort, [*split.train, *split.validation], MOST_SCANS)
    known_ages = ages[learned].astype(np.float64)
    training, test = voxel_coordinates(products)
    predicted = {
        "kernel_ridge": kernel_ridge_ages(products, known_ages, _subjects(data.cohort, learned)),
        "gaussian_process": gaussian_process_ages(training, known_ages, test),
        "tissue_ridge": _tissue_ridge_ages(data, split),
    }
    assert predicted.keys() == METHODS.keys()
    return {name: np.asarray(found, dtype=np.float64) for name, found in predicted.items()}


def kernel_ridge_of_split(cohort: Cohort, split: Split) -> Floats:
    """Kernel ridge's ages of the test scans alone, in years."""
    learned = _at_most(cohort, [*split.train, *split.validation], MOST_SCANS)
    return kernel_ridge_ages(
        voxel_products_of_split(cohort, split),
        cohort.ages_years[learned].astype(np.float64),
        _subjects(cohort, learned),
    )


def voxel_products_of_split(cohort: Cohort, split: Split) -> VoxelProducts:
    """Products of the scans that methods on voxels learn from and of the test scans."""
    learned = _at_most(cohort, [*split.train, *split.validation], MOST_SCANS)
    return voxel_products(
        (cohort.volumes[index] for index in learned),
        (cohort.volumes[index] for index in split.test),
    )


def _tissue_ridge_ages(data: BaselineData, split: Split) -> Floats:
    cohort, known, tested = data.cohort, [*split.train, *split.validation], list(split.test)
    training, test = data.tissue_volumes[known], data.tissue_volumes[tested]
    ages = cohort.ages_years[known].astype(np.float64)
    subjects = _subjects(cohort, known)
    if data.config.harmonise == "combat":
        sites = [record.site or UNKNOWN for record in cohort.records]
        sexes = [cohort.records[index].sex for index in known]
        harmonisation = fit_harmonisation(
            training,
            [sites[index] for index in known],
            subjects,
            ages,
            [sex for sex in sexes if sex] if all(sexes) else None,
        )
        training = harmonisation.apply(training, [sites[index] for index in known])
        test = harmonisation.apply_to_test(
            test, [sites[index] for index in tested], _subjects(cohort, tested)
        )
    return ridge_ages(training, ages, subjects, test)


def _subjects(cohort: Cohort, indices: Sequence[int]) -> list[str]:
    return [cohort.records[index].subject for index in indices]


def _at_most(cohort: Cohort, indices: Sequence[int], most: int) -> list[int]:
    """All indices, or so many of them at even distances in order of age."""
    if len(indices) <= most:
        return list(indices)
    by_age = sorted(indices, key=lambda index: (float(cohort.ages_years[index]), index))
    return sorted(by_age[place * len(by_age) // most] for place in range(most))
