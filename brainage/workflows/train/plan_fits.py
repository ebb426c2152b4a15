"""Which networks a run trains, on whom, and who is kept from each of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from brainage.config.run import RunConfig
from brainage.core.random import derive_seed
from brainage.data.splits import Split, make_folds, make_site_folds, make_split
from brainage.errors import CohortError
from brainage.scans.manifest import ScanRecord
from brainage.workflows.train.cohort import Cohort

FINAL = "final"
"""Name of the fit on all scans, which is tested on none."""


@dataclass(frozen=True)
class PlannedFit:
    """One part of a run: a network that is trained, and asked about scans it has not seen.

    ``name`` is unique, ``label`` the same in every repeat: ``holdout``, ``fold1``, ``site-oslo``,
    ``final``. ``repeat`` counts from 0. ``inner`` are folds within the training part alone, by
    which a candidate is chosen; the part then has no validation part of its own.
    """

    name: str
    label: str
    split: Split
    repeat: int = 0
    inner: tuple[Split, ...] = ()


def plan_fits(records: Sequence[ScanRecord], config: RunConfig) -> tuple[PlannedFit, ...]:
    """All fits of a run in order, with indices into the records.

    With folds, every scan is tested by the folds that left it out; ``final`` is trained on all
    scans, and its error is estimated by the folds.

    Raises:
        CohortError: if there are too few subjects, or a scan lacks its age or site.
    """
    planned = []
    repeats = config.split.repeats
    for repeat in range(repeats):
        seed = config.seed if repeat == 0 else derive_seed(config.seed, "repeat", repeat)
        for label, split in _outer_splits(records, config, seed).items():
            name = label if repeats == 1 else f"repeat{repeat + 1}-{label}"
            part = PlannedFit(name, label, split, repeat)
            planned.append(_with_inner_folds(part, records, config, seed))
    if config.split.has_folds and config.inference.kept == "refit":
        everyone = Split(tuple(range(len(records))), (), ())
        part = PlannedFit(FINAL, FINAL, everyone)
        planned.append(_with_inner_folds(part, records, config, config.seed))
    return tuple(planned)


def _outer_splits(records: Sequence[ScanRecord], config: RunConfig, seed: int) -> dict[str, Split]:
    if config.split.leave_one_site_out:
        folds = make_site_folds(records, config.split, seed)
        names = _folder_names(list(folds))
        return {f"site-{names[site]}": split for site, split in folds.items()}
    if config.split.folds is None:
        return {"holdout": make_split(records, config.split, seed)}
    return {
        f"fold{number + 1}": split
        for number, split in enumerate(make_folds(records, config.split, seed))
    }


def _folder_names(sites: Sequence[str]) -> dict[str, str]:
    """Sites as names of folders, different ones for different sites."""
    names: dict[str, str] = {}
    for site in sites:
        name = plain = re.sub(r"[^A-Za-z0-9._]", "_", site)[:40]
        while name in names.values():
            name = f"{plain}-{len(names)}"
        names[site] = name
    return names


def _with_inner_folds(
    part: PlannedFit, records: Sequence[ScanRecord], config: RunConfig, seed: int
) -> PlannedFit:
    """Inner folds over what is not tested; the chosen candidate is then trained on all of that."""
    number = config.split.inner_folds
    if number is None:
        return part
    pool = sorted((*part.split.train, *part.split.validation))
    settings = replace(
        config.split, folds=number, inner_folds=None, leave_one_site_out=False, repeats=1
    )
    chosen = [records[index] for index in pool]
    try:
        folds = make_folds(chosen, settings, derive_seed(seed, "inner", part.label))
    except CohortError as error:
        raise CohortError(f"split.inner_folds: {part.name}: {error}") from error
    inner = tuple(_moved(fold, pool) for fold in folds)
    return replace(part, split=Split(tuple(pool), (), part.split.test), inner=inner)


def _moved(split: Split, places: Sequence[int]) -> Split:
    """A split of chosen records as one of all records."""
    parts = (split.train, split.validation, split.test)
    train, validation, test = (tuple(places[index] for index in part) for part in parts)
    return Split(train, validation, test)


def usable_fits(
    planned: Sequence[PlannedFit],
    records: Sequence[ScanRecord],
    cohort: Cohort,
    config: RunConfig,
) -> tuple[PlannedFit, ...]:
    """The fits over the scans that can be used: a bad scan never moves another one.

    Args:
        planned: with indices into the records.
        records: of the manifest.
        cohort: those of them that can be used.
        config: early stopping needs scans to validate on.

    Returns:
        The same fits with indices into the cohort.

    Raises:
        CohortError: if a part has lost all its scans.
    """
    position = {record.scan: index for index, record in enumerate(cohort.records)}

    def usable(name: str, split: Split) -> Split:
        kept = []
        for part, indices in _named(split).items():
            scans = (records[index].scan for index in indices)
            kept.append(tuple(position[scan] for scan in scans if scan in position))
            needed = part != "validate" or config.trainer.early_stopping is not None
            if needed and indices and not kept[-1]:
                raise CohortError(
                    f"{name}: no scan is left to {part} after {len(cohort.failed)} of "
                    f"{len(records)} scans could not be used"
                )
        return Split(*kept)

    return tuple(
        replace(
            part,
            split=usable(part.name, part.split),
            inner=tuple(
                usable(f"{part.name}, inner fold {number + 1}", fold)
                for number, fold in enumerate(part.inner)
            ),
        )
        for part in planned
    )


def _named(split: Split) -> dict[str, tuple[int, ...]]:
    """The parts by what is done with them, in the order of their fields."""
    return {"train": split.train, "validate": split.validation, "test": split.test}
