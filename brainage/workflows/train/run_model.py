"""The model that a run keeps: its networks, what it was trained on, and how good it is."""

from collections.abc import Sequence
from typing import Any

from brainage.bundle.honest_numbers import HonestNumbers, fit_honest_numbers, one_scan_each
from brainage.bundle.model import Member, ModelBundle
from brainage.bundle.save import save_bundle
from brainage.config.run import RunConfig
from brainage.core.random import derive_seed
from brainage.scans.record import UNKNOWN
from brainage.workflows.evaluate.leakage import training_identities
from brainage.workflows.train.finished_run import FinishedRun
from brainage.workflows.train.model_card import model_card
from brainage.workflows.train.run_facts import config_for_model
from brainage.workflows.train.run_space import RunSpace, fit_run_space


def write_model(run: FinishedRun, notes: Sequence[str]) -> ModelBundle:
    """Write the model's folder.

    Args:
        run: the finished run.
        notes: how the held-out error came about, for the model card.

    Raises:
        RunFolderError: if it cannot be written.
    """
    space = fit_run_space(run)
    calibration = _calibration(run, _honest_numbers(run), space)
    config = _config(run)
    return save_bundle(
        run.folder.model,
        config=config_for_model(config),
        members=_members(run),
        input_shape=run.cohort.input_shape,
        calibration=calibration,
        card=model_card(config, calibration, notes, run.held_out.by_site()),
        training_space=space.space,
    )


def _honest_numbers(run: FinishedRun) -> HonestNumbers:
    """From predictions by single networks of scans they did not see: those of the first repeat.

    The mean over repeats errs less than the one network that is kept.
    """
    held_out = run.repeats.each[0]
    seed = derive_seed(run.config.seed, "honest numbers")
    chosen = one_scan_each(held_out.subjects, seed)
    return fit_honest_numbers(
        held_out.age_years[chosen],
        held_out.predicted_age[chosen],
        coverage=run.config.inference.coverage,
        seed=seed,
    )


def _config(run: FinishedRun) -> RunConfig:
    """That of the only network; the run's where several are kept."""
    return run.kept.config if len(run.kept_parts) == 1 else run.config


def _members(run: FinishedRun) -> list[Member]:
    members = []
    for part in run.kept_parts:
        fit = run.fits[part.name]
        overrides: tuple[str, ...] = ()
        if fit.choice is not None and len(run.kept_parts) > 1:
            overrides = run.config.search.candidates[fit.choice.candidate]
        members.append(Member(part.name, fit.task, fit.chain, overrides))
    return members


def _calibration(run: FinishedRun, honest: HonestNumbers, space: RunSpace) -> dict[str, Any]:
    """Training ages of the kept model and the held-out results, as plain JSON values."""
    numbers = honest.as_dict()
    if space.reason is not None:
        numbers["absent"]["training_space"] = space.reason
    ages = run.cohort.ages_years[run.training].astype(float)
    records = [run.cohort.records[index] for index in run.training]
    validated = {index for part in run.kept_parts for index in part.split.validation}
    known = sorted({*run.training, *validated})
    return {
        "age_unit": "years",
        "training_age_range_years": [float(ages.min()), float(ages.max())],
        "training_mean_age_years": float(ages.mean()),
        "training_scans": len(run.training),
        "training_sites": sorted({record.site or UNKNOWN for record in records}),
        "evaluation": _evaluation(run.config),
        "networks": len(run.kept_parts),
        "held_out": run.held_out.metrics().as_dict(),
        "calibrated_on": {"what": "held-out scans of the training"},
        **numbers,
        "training_space": space.facts,
        **training_identities(
            [run.cohort.records[index] for index in known],
            [run.cohort.keys[index] for index in known],
        ),
    }


def _evaluation(config: RunConfig) -> str:
    if config.split.leave_one_site_out:
        return "leave_one_site_out"
    return "kfold" if config.split.has_folds else "holdout"
