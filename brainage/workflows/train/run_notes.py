"""What a reader has to know beside a run's numbers: sentences for the report and the model card."""

from collections.abc import Iterator, Mapping, Sequence

from brainage.config.run import RunConfig
from brainage.core.rules import RULES
from brainage.data.splits import small_sites
from brainage.scans.manifest import ScanRecord
from brainage.workflows.train.fitting import Fit


def how_it_was_tested(
    config: RunConfig, records: Sequence[ScanRecord], fits: Mapping[str, Fit]
) -> tuple[str, ...]:
    """How the held-out error came about, and what it says of the model that is kept."""
    return (
        *_folds(config, records),
        *_repeats(config),
        *_choices(fits),
        *_epochs(fits),
        *_kept(config, fits),
        *_views(config),
    )


def what_was_trained(config: RunConfig, counts: Mapping[str, int]) -> tuple[str, ...]:
    """Parameters, and how far gradients reach.

    Args:
        config: of the network that is kept.
        counts: its parameters by what they are for.
    """
    added = {
        "the workers": counts["workers"],
        "the hidden blocks' own heads": counts["hidden_outputs"],
        "their auxiliary networks": counts["auxiliary"],
    }
    extra = [f"{what} {count:,}" for what, count in added.items() if count]
    notes = [
        f"The network's stages have {counts['body']:,} parameters and its output head "
        f"{counts['output']:,}. The training rule adds "
        + (f"for {', for '.join(extra)}." if extra else "none.")
    ]
    if RULES[config.objective.name].scope == "block":
        notes.append(
            "No gradient crosses a block boundary; inside a block back-propagation is used."
        )
    return tuple(notes)


def how_it_was_timed(*, resumed: bool) -> tuple[str, ...]:
    """What the seconds of a run leave out."""
    if not resumed:
        return ()
    return ("The run was interrupted: its seconds are those of the process that ended it.",)


def _folds(config: RunConfig, records: Sequence[ScanRecord]) -> Iterator[str]:
    split = config.split
    if split.leave_one_site_out:
        yield "Every site was predicted by a network that saw no scan of it."
        small = small_sites(records, split)
        if small:
            named = ", ".join(f"{site} ({count})" for site, count in small.items())
            yield (
                f"Sites with fewer than {split.min_site_subjects} subjects were not tested; they "
                f"trained or validated in every fold: {named}."
            )
    elif split.has_folds:
        yield "Every scan was predicted by the fold that left its subject out."


def _repeats(config: RunConfig) -> Iterator[str]:
    if config.split.repeats > 1:
        times = config.split.repeats
        drawn = (
            f"Every site was left out {times} times, with other weights to begin with."
            if config.split.leave_one_site_out
            else f"The folds were drawn {times} times."
        )
        yield (
            f"{drawn} A scan's prediction is the mean over the repeats; the error of one repeat "
            "by itself is in metrics.json."
        )


def _choices(fits: Mapping[str, Fit]) -> Iterator[str]:
    chosen = {name: fit.choice for name, fit in fits.items() if fit.choice is not None}
    if not chosen:
        return
    named = "; ".join(
        f"{name}: {choice.candidate} ("
        + ", ".join(f"{each} {mae:.2f}" for each, mae in choice.mae_years.items())
        + ")"
        for name, choice in chosen.items()
    )
    yield (
        "Each part chose among the candidates by inner folds of its own training part, with these "
        f"errors in years: {named}."
    )


def _epochs(fits: Mapping[str, Fit]) -> Iterator[str]:
    best = {n: f.result.best_epoch for n, f in fits.items() if f.result.best_epoch is not None}
    if best:
        named = ", ".join(f"{name} {epoch}" for name, epoch in best.items())
        yield f"Training stopped by the validation scans alone and kept the best epoch: {named}."
    fixed = {name: fit.stop_after for name, fit in fits.items() if fit.stop_after is not None}
    if fixed:
        named = ", ".join(f"{name} {epochs}" for name, epochs in fixed.items())
        whose = "inner folds" if any(fit.choice for fit in fits.values()) else "folds"
        yield (
            "Without scans to validate on, training took as many epochs as the "
            f"median best epoch of the {whose}: {named}."
        )


def _kept(config: RunConfig, fits: Mapping[str, Fit]) -> Iterator[str]:
    if not config.split.has_folds:
        return
    if config.inference.kept == "folds":
        yield (
            f"The model that is kept is the mean of the {len(fits)} networks of all folds. Each "
            "held-out scan was predicted only by the network that had not seen it, never by this "
            "mean, whose own error is not measured directly."
        )
    else:
        yield (
            "The model that is kept was trained on all scans afterwards; its own error is not "
            "measured directly."
        )


def _views(config: RunConfig) -> Iterator[str]:
    views = config.inference.test_time_augmentation
    if views > 1:
        yield (
            f"Every prediction is the mean over {views} views of the scan, here and in the model "
            "that is kept."
        )
