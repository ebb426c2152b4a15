"""The configuration of each candidate of a search."""

from collections.abc import Sequence
from dataclasses import replace

from brainage.config.checks import cross_checks
from brainage.config.files import apply_overrides
from brainage.config.run import RunConfig
from brainage.config.search import SearchConfig
from brainage.config.validation import to_plain, validate
from brainage.errors import ConfigError

TUNABLE = (
    "augmentation", "backbone", "blocks", "heads", "task", "objective", "optimizer", "schedule",
    "engine", "trainer",
)  # fmt: skip
"""Sections that a candidate may change: who is in which part and what the network is given stay."""
TUNABLE_KEYS = ("data.balance", "data.balance_bin_years")


def candidate_configs(config: RunConfig) -> dict[str, RunConfig]:
    """Every candidate's configuration, by name and in the order written, without the search itself.

    Raises:
        ConfigError: names the candidate and what is wrong with it.
    """
    return {name: _candidate(config, name) for name in config.search.candidates}


def without_search(config: RunConfig) -> RunConfig:
    """The configuration of one fit: nothing is left to choose."""
    return replace(config, search=SearchConfig(), split=replace(config.split, inner_folds=None))


def with_overrides(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """A configuration with changes as in ``--set``, checked, and without a search.

    Raises:
        ConfigError: lists all problems.
    """
    content = to_plain(without_search(config))
    changed = validate(RunConfig, apply_overrides(RunConfig, content, overrides))
    cross_checks(changed)
    return changed


def _candidate(config: RunConfig, name: str) -> RunConfig:
    overrides = config.search.candidates[name]
    where = f"search.candidates.{name}"
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.partition(".")[0] not in TUNABLE and key not in TUNABLE_KEYS:
            raise ConfigError(
                f"{where}: expected keys of {', '.join(TUNABLE)}, or {TUNABLE_KEYS[0]}, got {key}"
            )
        measured = config.blocks.balance != "stages"
        if measured and key.partition(".")[0] in {"backbone", "blocks"}:
            raise ConfigError(
                f"{where}: expected blocks.balance 'stages' with a candidate that changes {key}, "
                f"got '{config.blocks.balance}', whose cuts are those of one network"
            )
    try:
        return with_overrides(config, overrides)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
